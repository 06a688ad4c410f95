-- What is each patient's latest BMD_CNN?
-- The newest measured study of each patient, read by the active checkpoint, with the nearest thing to a verdict that
-- this software gives: a number, its interval, and the band it falls in. Not a DXA.
CREATE OR REPLACE MACRO newest_result(of_band) AS TABLE
WITH result AS (
    SELECT study_bmd.patient_id, study_bmd.study_instance_uid, study_bmd.band
    FROM study_bmd
    JOIN model USING (checkpoint_sha256)
    WHERE model.active
        AND (of_band IS NULL OR study_bmd.patient_id IN (SELECT patient_id FROM banded_patient WHERE band = of_band))
),
dated AS (
    SELECT study_instance_uid, study_date, age_years
    FROM study
    WHERE of_band IS NULL OR patient_id IN (SELECT patient_id FROM banded_patient WHERE band = of_band)
)
SELECT result.patient_id, study_instance_uid, dated.study_date, dated.age_years, result.band
FROM result
JOIN dated USING (study_instance_uid)
QUALIFY row_number() OVER (
    PARTITION BY result.patient_id ORDER BY dated.study_date DESC NULLS LAST, study_instance_uid
) = 1;

CREATE OR REPLACE VIEW patient_bmd AS
SELECT
    patient.patient_id,
    patient.identified,
    stated.identity_conflict,
    stated.sex,
    stated.birth_date,
    measured_study.* EXCLUDE (patient_id)
FROM newest_result(NULL) AS newest
JOIN measured_study USING (study_instance_uid)
JOIN patient ON patient.patient_id = newest.patient_id
JOIN stated_identity(NULL) AS stated ON stated.patient_id = newest.patient_id;
COMMENT ON COLUMN patient_bmd.identity_conflict IS 'Studies under this PatientID disagree in sex, birth date or issuer: they may be of different people.';
COMMENT ON COLUMN patient_bmd.sex IS 'PatientSex (0010,0040) of the newest study that states it.';
COMMENT ON COLUMN patient_bmd.birth_date IS 'PatientBirthDate (0010,0030) of the newest study that states it.';
COMMENT ON COLUMN patient_bmd.bmd_cnn IS 'Areal BMD estimated by BMD_CNN: mean of the usable levels L1 to L4, g/cm2. Not a DXA.';
COMMENT ON COLUMN patient_bmd.attenuation_hu IS 'Mean trabecular attenuation of the used levels, HU as acquired: the transparent comparator.';
COMMENT ON COLUMN patient_bmd.checkpoint_sha256 IS 'SHA-256 of the checkpoint that estimated bmd_cnn, see table model.';
