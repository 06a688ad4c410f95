-- Which results were held against another reference, or by another rule, than these?
-- With the density of the usable levels L1 to L4, and of those left out as outliers. Parameters: reference, mean, sd, rule.
WITH otherwise AS (
    SELECT study_bmd.*
    FROM study_bmd
    WHERE reference IS DISTINCT FROM $reference
        OR reference_mean IS DISTINCT FROM $mean
        OR reference_sd IS DISTINCT FROM $sd
        OR osteoporosis_rule IS DISTINCT FROM $rule
),
level AS (
    SELECT study_instance_uid, checkpoint_sha256, list(vertebra.bmd_cnn ORDER BY vertebra.centre_z_mm) AS level_bmd
    FROM vertebra
    SEMI JOIN otherwise USING (study_instance_uid, checkpoint_sha256)
    WHERE vertebra.used OR vertebra.reason = 'outlier'
    GROUP BY ALL
)
SELECT
    study_instance_uid,
    checkpoint_sha256,
    otherwise.reference,
    otherwise.reference_sd,
    otherwise.bmd_cnn,
    (otherwise.bmd_high - otherwise.bmd_low) / 2 AS half_width,
    study.age_years,
    coalesce(study.sex, '') AS sex,
    level.level_bmd,
    list_max(level.level_bmd) - list_min(level.level_bmd) AS spread
FROM otherwise
JOIN study USING (study_instance_uid)
LEFT JOIN level USING (study_instance_uid, checkpoint_sha256);
