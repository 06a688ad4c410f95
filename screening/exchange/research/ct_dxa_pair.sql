CREATE TABLE research.ct_dxa_pair (
    study_key              VARCHAR NOT NULL,
    patient_key            VARCHAR NOT NULL,
    study_month            DATE NOT NULL,
    weeks_to_dxa           INTEGER NOT NULL,
    within_window          BOOLEAN NOT NULL,
    bmd_cnn                DOUBLE NOT NULL,
    bmd_low                DOUBLE NOT NULL,
    bmd_high               DOUBLE NOT NULL,
    bmd_dxa                DOUBLE,
    t_score_dxa            DOUBLE,
    manufacturer           VARCHAR NOT NULL
);
COMMENT ON TABLE research.ct_dxa_pair IS 'One row a patient with a measured CT and a DXA of L1-L4: the nearest pair.';
COMMENT ON COLUMN research.ct_dxa_pair.study_key IS 'The CT, see table study.';
COMMENT ON COLUMN research.ct_dxa_pair.patient_key IS 'The patient, see table patient.';
COMMENT ON COLUMN research.ct_dxa_pair.study_month IS 'First day of the month of the CT.';
COMMENT ON COLUMN research.ct_dxa_pair.weeks_to_dxa IS 'From the CT to the DXA, whole weeks, rounded down: 0 is up to 6 days after the CT, -1 up to 7 days before it.';
COMMENT ON COLUMN research.ct_dxa_pair.within_window IS 'Whether they lie no more than publication.validation_window_days apart, as view validation_pair asks.';
COMMENT ON COLUMN research.ct_dxa_pair.manufacturer IS 'Manufacturer of the densitometer, whose scale bmd_dxa is on, where it is a known one; else other, or empty where not given.';
INSERT INTO research.ct_dxa_pair
SELECT
    key_of_study(study_instance_uid) AS study_key,
    key_of_patient(patient_id),
    month_of(study_date),
    whole_weeks(days_to_dxa),
    abs(days_to_dxa) <= latest.validation_window_days,
    bmd_cnn,
    bmd_low,
    bmd_high,
    bmd_dxa,
    t_score_dxa,
    CASE
        WHEN manufacturer = '' OR list_contains(getvariable('makers_of_dxa'), manufacturer) THEN manufacturer
        ELSE 'other'
    END
FROM ct_dxa_pair
CROSS JOIN (SELECT validation_window_days FROM publication ORDER BY publication_id DESC LIMIT 1) AS latest
ANTI JOIN opted_out USING (patient_id)
ORDER BY study_key;
ALTER TABLE research.ct_dxa_pair ADD PRIMARY KEY (study_key);
