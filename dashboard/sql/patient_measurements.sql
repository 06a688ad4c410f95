-- All bone densities of the patient on one time line: BMD_CNN of every measured CT, and every DXA.
-- T-scores of the interval need mean and standard deviation of the reference. Both follow from any result against the
-- same reference (mean = bmd / yam, sd = (bmd - mean) / t); the result with the largest |t| gives them best.
-- Parameter: patient_id.
WITH reference_scale AS (
    SELECT
        reference,
        max_by(100 * bmd_cnn / yam_percent, abs(t_score)) AS mean_g_cm2,
        max_by((bmd_cnn - 100 * bmd_cnn / yam_percent) / t_score, abs(t_score)) AS sd_g_cm2
    FROM study_bmd
    WHERE t_score <> 0 AND yam_percent > 0
    GROUP BY reference
)
SELECT
    'CT' AS method,
    study.study_date AS measured_date,
    'BMD_CNN ' || array_to_string(study_bmd.levels, ' ') AS what,
    study_bmd.bmd_cnn AS bmd_g_cm2,
    study_bmd.bmd_low AS bmd_low_g_cm2,
    study_bmd.bmd_high AS bmd_high_g_cm2,
    study_bmd.t_score,
    (study_bmd.bmd_low - reference_scale.mean_g_cm2) / reference_scale.sd_g_cm2 AS t_score_low,
    (study_bmd.bmd_high - reference_scale.mean_g_cm2) / reference_scale.sd_g_cm2 AS t_score_high
FROM study_bmd
JOIN model USING (checkpoint_sha256)
JOIN study USING (study_instance_uid)
LEFT JOIN reference_scale ON reference_scale.reference = study_bmd.reference
WHERE model.active AND study_bmd.patient_id = $patient_id
UNION ALL
SELECT
    'DXA' AS method,
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
