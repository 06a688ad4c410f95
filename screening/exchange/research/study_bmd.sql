CREATE TABLE research.study_bmd (
    study_key              VARCHAR NOT NULL,
    patient_key            VARCHAR NOT NULL,
    study_month            DATE,
    age_years              INTEGER CHECK (age_years BETWEEN 0 AND 90),
    newest                 BOOLEAN NOT NULL,
    checkpoint_sha256      VARCHAR NOT NULL,
    bmd_cnn                DOUBLE NOT NULL,
    bmd_low                DOUBLE NOT NULL,
    bmd_high               DOUBLE NOT NULL,
    level_count            INTEGER NOT NULL,
    levels                 VARCHAR[] NOT NULL,
    attenuation_hu         DOUBLE,
    reference              VARCHAR NOT NULL,
    t_score                DOUBLE NOT NULL,
    z_score                DOUBLE,
    yam_percent            DOUBLE NOT NULL,
    category               VARCHAR,
    z_category             VARCHAR,
    osteoporosis_rule      VARCHAR,
    osteoporosis_probability DOUBLE NOT NULL,
    band                   VARCHAR NOT NULL,
    level_certainty        VARCHAR NOT NULL,
    contrast_enhanced      BOOLEAN NOT NULL,
    readers_disagree       BOOLEAN
);
COMMENT ON TABLE research.study_bmd IS 'One row a study that the active checkpoint measured: the patient''s BMD_CNN at that date. Not a DXA.';
COMMENT ON COLUMN research.study_bmd.study_key IS 'The study, see table study.';
COMMENT ON COLUMN research.study_bmd.patient_key IS 'The patient, see table patient.';
COMMENT ON COLUMN research.study_bmd.study_month IS 'First day of the month of the CT.';
COMMENT ON COLUMN research.study_bmd.age_years IS 'Age at the study, completed years; 90 stands for 90 and over.';
COMMENT ON COLUMN research.study_bmd.newest IS 'Whether this is the newest measured study of its patient: one row a patient.';
INSERT INTO research.study_bmd
SELECT
    key_of_study(study_instance_uid) AS study_key,
    key_of_patient(patient_id),
    month_of(study_date),
    grouped_age(age_years),
    row_number() OVER (PARTITION BY patient_id ORDER BY study_date DESC NULLS LAST, study_instance_uid) = 1,
    checkpoint_sha256,
    bmd_cnn,
    bmd_low,
    bmd_high,
    level_count,
    levels,
    attenuation_hu,
    reference,
    t_score,
    z_score,
    yam_percent,
    category,
    z_category,
    osteoporosis_rule,
    osteoporosis_probability,
    band,
    level_certainty,
    contrast_enhanced,
    readers_disagree
FROM measured_study
ANTI JOIN opted_out USING (patient_id)
ORDER BY study_key;
ALTER TABLE research.study_bmd ADD PRIMARY KEY (study_key);
