-- Which patients have a measured CT and a DXA of L1-L4 near it, and what do they have in common?
-- One row a patient. Parameter: window_days.
SELECT
    pair.study_instance_uid,
    pair.patient_id,
    person.identified AND NOT person.identity_conflict AS identity_certain,
    pair.bmd_cnn,
    pair.bmd_low,
    pair.bmd_high,
    pair.bmd_dxa,
    pair.t_score_dxa,
    pair.manufacturer AS dxa_manufacturer,
    study_bmd.osteoporosis_probability,
    study_bmd.band = 'likely' AS likely,
    study_bmd.reference,
    study_bmd.attenuation_hu,
    study_bmd.level_certainty,
    study_bmd.contrast_enhanced,
    study.age_years,
    person.sex,
    strftime(study.study_date, '%Y-%m') AS ct_month,
    series.manufacturer,
    series.manufacturer_model_name,
    series.kvp_kv,
    series.convolution_kernel,
    series.slice_thickness_mm
FROM ct_dxa_pair AS pair
JOIN study_bmd USING (study_instance_uid, checkpoint_sha256)
JOIN study USING (study_instance_uid)
JOIN person ON person.patient_id = pair.patient_id
LEFT JOIN series ON series.study_instance_uid = pair.study_instance_uid AND series.chosen
WHERE abs(pair.days_to_dxa) <= $window_days
ORDER BY pair.study_instance_uid;
