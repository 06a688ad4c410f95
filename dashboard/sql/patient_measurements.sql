-- All bone densities of the patient on one time line: BMD_CNN of every measured CT, and every DXA.
-- The ends of the interval as T-scores against the reference that the result was placed with. Parameter: patient_id.
SELECT
    'CT' AS method,
    'lumbar spine' AS site,
    study.study_date AS measured_date,
    'BMD_CNN ' || array_to_string(study_bmd.levels, ' ') AS what,
    study_bmd.bmd_cnn AS bmd_g_cm2,
    study_bmd.bmd_low AS bmd_low_g_cm2,
    study_bmd.bmd_high AS bmd_high_g_cm2,
    study_bmd.t_score,
    (study_bmd.bmd_low - coalesce(study_bmd.reference_mean, named.mean_g_cm2))
        / coalesce(study_bmd.reference_sd, named.sd_g_cm2) AS t_score_low,
    (study_bmd.bmd_high - coalesce(study_bmd.reference_mean, named.mean_g_cm2))
        / coalesce(study_bmd.reference_sd, named.sd_g_cm2) AS t_score_high
FROM study_bmd
JOIN model USING (checkpoint_sha256)
JOIN study USING (study_instance_uid)
LEFT JOIN reference_population AS named ON named.reference = study_bmd.reference
WHERE model.active AND study_bmd.patient_id = $patient_id
UNION ALL
SELECT
    'DXA' AS method,
    CASE WHEN region LIKE 'L%' THEN 'lumbar spine' WHEN region = 'unspecified' THEN 'not said' ELSE 'hip' END AS site,
    dxa_date AS measured_date,
    trim('DXA ' || replace(region, '_', ' ') || ' ' || manufacturer) AS what,
    bmd_dxa AS bmd_g_cm2,
    NULL AS bmd_low_g_cm2,
    NULL AS bmd_high_g_cm2,
    t_score,
    NULL AS t_score_low,
    NULL AS t_score_high
FROM dxa
WHERE patient_id = $patient_id
ORDER BY measured_date DESC NULLS LAST, method, what;
