CREATE TABLE research.dxa (
    patient_key            VARCHAR NOT NULL,
    number                 INTEGER NOT NULL,
    dxa_month              DATE NOT NULL,
    weeks_after_ct         INTEGER,
    region                 VARCHAR NOT NULL,
    bmd_dxa                DOUBLE,
    t_score                DOUBLE,
    z_score                DOUBLE,
    manufacturer           VARCHAR NOT NULL,
    conflict               BOOLEAN NOT NULL,
    status                 VARCHAR NOT NULL
);
COMMENT ON TABLE research.dxa IS 'The central DXA in force: one row a patient, date, region and manufacturer.';
COMMENT ON COLUMN research.dxa.patient_key IS 'The patient, as in table patient; a patient of no CT stands here alone.';
COMMENT ON COLUMN research.dxa.number IS 'Number of the row among those of the patient, oldest first, from 1.';
COMMENT ON COLUMN research.dxa.dxa_month IS 'First day of the month of the measurement.';
COMMENT ON COLUMN research.dxa.weeks_after_ct IS 'From the newest measured CT of the patient to the DXA, whole weeks, rounded down: 0 is up to 6 days after the CT, -1 up to 7 days before it; NULL without such a CT.';
COMMENT ON COLUMN research.dxa.manufacturer IS 'Manufacturer of the densitometer, whose scale bmd_dxa is on, where it is a known one; else other, or empty where not given.';
INSERT INTO research.dxa
SELECT
    key_of_patient(dxa.patient_id) AS patient_key,
    row_number() OVER (PARTITION BY dxa.patient_id ORDER BY dxa_date, region, dxa.manufacturer) AS number,
    month_of(dxa_date),
    whole_weeks(date_diff('day', newest.study_date, dxa_date)),
    region,
    bmd_dxa,
    t_score,
    z_score,
    CASE
        WHEN dxa.manufacturer = '' OR list_contains(getvariable('makers_of_dxa'), dxa.manufacturer) THEN dxa.manufacturer
        ELSE 'other'
    END,
    conflict,
    status
FROM dxa
LEFT JOIN newest_result(NULL) AS newest ON newest.patient_id = dxa.patient_id
ANTI JOIN opted_out ON opted_out.patient_id = dxa.patient_id
ORDER BY patient_key, number;
-- Made of sorted keys in one go; a key that stands before the rows takes three times as long.
ALTER TABLE research.dxa ADD PRIMARY KEY (patient_key, number);
