-- Who is each patient of the archive?
-- One row a PatientID, with sex and birth date of the newest study that states them, and whether the studies agree.
CREATE OR REPLACE MACRO stated_identity(of_band) AS TABLE
SELECT
    patient_id,
    arg_max(sex, coalesce(study_date, DATE '1900-01-01')) FILTER (sex IS NOT NULL) AS sex,
    arg_max(birth_date, coalesce(study_date, DATE '1900-01-01')) FILTER (birth_date IS NOT NULL) AS birth_date,
    coalesce(min(sex) <> max(sex), false)
        OR coalesce(min(birth_date) <> max(birth_date), false)
        OR coalesce(min(nullif(issuer_of_patient_id, '')) <> max(nullif(issuer_of_patient_id, '')), false)
        AS identity_conflict
FROM study
WHERE of_band IS NULL OR patient_id IN (SELECT patient_id FROM banded_patient WHERE band = of_band)
GROUP BY patient_id;

CREATE OR REPLACE VIEW person AS
SELECT
    patient.patient_id,
    patient.identified,
    coalesce(stated.identity_conflict, false) AS identity_conflict,
    stated.sex,
    stated.birth_date
FROM patient
LEFT JOIN stated_identity(NULL) AS stated USING (patient_id);
COMMENT ON COLUMN person.identity_conflict IS 'Studies under this PatientID disagree in sex, birth date or issuer: they may be of different people.';
COMMENT ON COLUMN person.sex IS 'PatientSex (0010,0040) of the newest study that states it.';
COMMENT ON COLUMN person.birth_date IS 'PatientBirthDate (0010,0030) of the newest study that states it.';
