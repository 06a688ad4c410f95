-- What is each patient's latest BMD_CNN?
-- The newest measured study of each patient, read by the active checkpoint, with the nearest thing to a verdict that
-- this software gives: a number, its interval, and the band it falls in. Not a DXA.
CREATE OR REPLACE VIEW patient_bmd AS
WITH ranked AS (
    SELECT
        study_bmd.*,
        study.study_date,
        study.age_years,
        model.data_kind,
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
    person.identified,
    person.identity_conflict,
    person.sex,
    person.birth_date,
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
    ranked.readers_disagree,
    ranked.warnings,
    ranked.evidence_file,
    ranked.checkpoint_sha256,
    ranked.data_kind
FROM ranked
JOIN person USING (patient_id)
WHERE ranked.newest = 1;
COMMENT ON COLUMN patient_bmd.identity_conflict IS 'Studies under this PatientID disagree in sex, birth date or issuer: they may be of different people.';
COMMENT ON COLUMN patient_bmd.sex IS 'PatientSex (0010,0040) of the newest study that states it.';
COMMENT ON COLUMN patient_bmd.birth_date IS 'PatientBirthDate (0010,0030) of the newest study that states it.';
COMMENT ON COLUMN patient_bmd.bmd_cnn IS 'Areal BMD estimated by BMD_CNN: mean of the usable levels L1 to L4, g/cm2. Not a DXA.';
COMMENT ON COLUMN patient_bmd.attenuation_hu IS 'Mean trabecular attenuation of the used levels, HU as acquired: the transparent comparator.';
COMMENT ON COLUMN patient_bmd.checkpoint_sha256 IS 'SHA-256 of the checkpoint that estimated bmd_cnn, see table model.';
