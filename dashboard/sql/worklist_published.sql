-- Who is in the care gap as it was published?
-- Everybody without DXA, diagnosis or treatment in one band of BMD_CNN, decided about or not. Only likely osteoporosis
-- is flagged; the indeterminate are listed on request. Height loss may be a fracture. Parameter: band (likely or indeterminate).
SELECT
    gap.patient_id,
    gap.sex,
    floor(gap.age_years)::INTEGER AS age_years,
    gap.age_years AS exact_age_years,
    gap.study_date,
    date_sub('month', gap.study_date, gap.as_of_date)::INTEGER AS months_since_ct,
    study_bmd.bmd_cnn,
    study_bmd.bmd_low,
    study_bmd.bmd_high,
    coalesce(study_bmd.reference_mean, named.mean_g_cm2) AS reference_mean_g_cm2,
    CASE
        WHEN study_bmd.osteoporosis_rule = 'yam' THEN 0.7 * reference_mean_g_cm2
        ELSE reference_mean_g_cm2 - 2.5 * coalesce(study_bmd.reference_sd, named.sd_g_cm2)
    END AS osteoporosis_g_cm2,
    study_bmd.t_score,
    study_bmd.osteoporosis_probability,
    gap.last_dxa_date,
    gap.state,
    gap.defer_until,
    gap.reviewer,
    gap.last_event_id,
    gap.as_of_date,
    study_bmd.attenuation_hu,
    study_bmd.levels,
    fractured.levels AS possible_fracture_levels,
    study_bmd.warnings,
    study_bmd.band,
    nullif(study.institution_name, '') AS institution_name,
    study.accession_number,
    study_bmd.reference,
    model.data_kind,
    study.study_key,
    gap.study_instance_uid
FROM care_gap_among($band) AS gap
JOIN study_bmd USING (study_instance_uid)
JOIN model USING (checkpoint_sha256)
JOIN study USING (study_instance_uid)
LEFT JOIN reference_population AS named ON named.reference = study_bmd.reference
LEFT JOIN (
    SELECT study_instance_uid, checkpoint_sha256, list(level ORDER BY level) AS levels
    FROM vertebra
    WHERE reason = 'height_loss'
    GROUP BY study_instance_uid, checkpoint_sha256
) AS fractured ON fractured.study_instance_uid = study_bmd.study_instance_uid
    AND fractured.checkpoint_sha256 = study_bmd.checkpoint_sha256
WHERE gap.without_dxa_or_diagnosis
    AND model.active
    AND study_bmd.band = $band;
