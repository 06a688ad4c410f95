-- Which studies of the patient were measured by the active checkpoint, how, and where do the rows come from?
-- Newest first, so that the first row is the one the worklist judges. Parameter: patient_id.
SELECT
    study_bmd.study_instance_uid,
    study.study_key,
    study.study_date,
    floor(study.age_years)::INTEGER AS age_years,
    study.accession_number,
    study.study_description,
    study.institution_name,
    study_bmd.bmd_cnn,
    study_bmd.bmd_low,
    study_bmd.bmd_high,
    study_bmd.level_count,
    array_to_string(study_bmd.levels, ' ') AS levels,
    study_bmd.attenuation_hu,
    study_bmd.reference,
    study_bmd.t_score,
    study_bmd.yam_percent,
    study_bmd.category,
    coalesce(study_bmd.osteoporosis_rule, 't_score') AS osteoporosis_rule,
    study_bmd.z_score,
    study_bmd.z_category,
    100 * study_bmd.osteoporosis_probability AS osteoporosis_probability_percent,
    study_bmd.band,
    study_bmd.level_certainty,
    study_bmd.contrast_enhanced,
    study_bmd.warnings,
    study_bmd.evidence_file,
    series.series_description,
    nullif(series.acquisition, '') AS acquisition,
    series.manufacturer,
    series.manufacturer_model_name,
    series.kvp_kv,
    series.convolution_kernel,
    series.slice_thickness_mm,
    outcome.sweep_id,
    outcome.read_at,
    sweep.software_version,
    model.name AS checkpoint_name,
    model.checkpoint_sha256,
    model.data_kind
FROM study_bmd
JOIN model USING (checkpoint_sha256)
JOIN study USING (study_instance_uid)
JOIN outcome USING (study_instance_uid, checkpoint_sha256)
LEFT JOIN sweep USING (sweep_id)
LEFT JOIN series ON series.study_instance_uid = study_bmd.study_instance_uid AND series.chosen
WHERE model.active AND study_bmd.patient_id = $patient_id
ORDER BY study.study_date DESC NULLS LAST, study_bmd.study_instance_uid;
