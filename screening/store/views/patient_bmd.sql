-- What is each patient's latest BMD_CNN?
-- The newest measured study of each patient, read by the active checkpoint, with the nearest thing to a verdict that
-- this software gives: a number, its interval, and the band it falls in. Not a DXA.
CREATE OR REPLACE VIEW patient_bmd AS
WITH ranked AS (
    SELECT
        study_bmd.*,
        study.study_date,
        study.age_years,
        row_number() OVER (
            PARTITION BY study_bmd.patient_id
            ORDER BY study.study_date DESC NULLS LAST, study_bmd.study_instance_uid
        ) AS newest
    FROM study_bmd
    JOIN study USING (study_instance_uid)
    JOIN model USING (checkpoint_sha256)
    WHERE model.active
)
SELECT
    ranked.patient_id,
    patient.identified,
    patient.sex,
    patient.birth_date,
    ranked.study_instance_uid,
    ranked.study_date,
    ranked.age_years,
    ranked.bmd_cnn,
    ranked.bmd_low,
    ranked.bmd_high,
    ranked.t_score,
    ranked.yam_percent,
    ranked.reference,
    ranked.category,
    ranked.osteoporosis_probability,
    ranked.band,
    ranked.level_count,
    ranked.levels,
    ranked.attenuation_hu,
    ranked.level_certainty,
    ranked.contrast_enhanced,
    ranked.warnings,
    ranked.evidence_file,
    ranked.checkpoint_sha256,
    model.data_kind
FROM ranked
JOIN patient USING (patient_id)
JOIN model USING (checkpoint_sha256)
WHERE ranked.newest = 1;
