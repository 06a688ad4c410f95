CREATE TABLE research.study (
    study_key              VARCHAR NOT NULL,
    patient_key            VARCHAR NOT NULL,
    study_month            DATE,
    age_years              INTEGER CHECK (age_years BETWEEN 0 AND 90),
    sex                    VARCHAR CHECK (sex IN ('F', 'M', 'O')),
    site                   INTEGER,
    scanner                INTEGER,
    status                 VARCHAR,
    reason                 VARCHAR,
    stage                  VARCHAR,
    read_seconds           DOUBLE,
    kvp_kv                 DOUBLE,
    kernel                 VARCHAR,
    slice_thickness_mm     DOUBLE,
    spacing_mm             DOUBLE,
    coverage_mm            DOUBLE,
    stated_phase           VARCHAR,
    aorta_hu               DOUBLE,
    kidney_hu              DOUBLE,
    air_hu                 DOUBLE,
    fat_hu                 DOUBLE,
    muscle_hu              DOUBLE
);
COMMENT ON TABLE research.study IS 'One row a study of the archive: how reading it with the active checkpoint ended, and the facts of the series that was measured.';
COMMENT ON COLUMN research.study.patient_key IS 'The patient, see table patient.';
COMMENT ON COLUMN research.study.study_month IS 'First day of the month of StudyDate (0008,0020).';
COMMENT ON COLUMN research.study.age_years IS 'Age at the study, completed years; 90 stands for 90 and over.';
COMMENT ON COLUMN research.study.site IS 'Number of the institution in this publication, the one with most studies first; NULL where the header names none.';
COMMENT ON COLUMN research.study.scanner IS 'The scanner, see table scanner; NULL where not known.';
COMMENT ON COLUMN research.study.status IS 'measured, excluded (the study lacks something) or failed (the program broke); NULL where not read yet.';
INSERT INTO research.study
SELECT
    key_of_study(study.study_instance_uid) AS study_key,
    key_of_patient(study.patient_id),
    month_of(study.study_date),
    grouped_age(study.age_years),
    study.sex,
    numbered_site.site,
    numbered_scanner.scanner,
    ended.status,
    ended.reason,
    ended.stage,
    ended.read_seconds,
    measured.kvp_kv,
    measured.kernel,
    measured.slice_thickness_mm,
    measured.spacing_mm,
    measured.coverage_mm,
    measured.stated_phase,
    measured.aorta_hu,
    measured.kidney_hu,
    measured.air_hu,
    measured.fat_hu,
    measured.muscle_hu
FROM study
LEFT JOIN (FROM outcome SEMI JOIN (FROM model WHERE active) USING (checkpoint_sha256)) AS ended
    USING (study_instance_uid)
LEFT JOIN study_scanner USING (study_instance_uid)
LEFT JOIN numbered_scanner ON numbered_scanner.name = study_scanner.scanner
LEFT JOIN numbered_site ON numbered_site.name = study.institution_name
LEFT JOIN (FROM series WHERE chosen) AS measured ON measured.study_instance_uid = study.study_instance_uid
ANTI JOIN opted_out ON opted_out.patient_id = study.patient_id
ORDER BY study_key;
ALTER TABLE research.study ADD PRIMARY KEY (study_key);
