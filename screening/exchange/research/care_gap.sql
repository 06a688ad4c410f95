CREATE TABLE research.care_gap (
    patient_key            VARCHAR NOT NULL,
    study_key              VARCHAR NOT NULL,
    weeks_from_last_dxa_to_ct INTEGER,
    last_dxa_month         DATE,
    likely_osteoporosis    BOOLEAN NOT NULL,
    identified             BOOLEAN NOT NULL,
    old_enough             BOOLEAN,
    no_dxa_in_look_back    BOOLEAN NOT NULL,
    no_dxa_since_ct        BOOLEAN NOT NULL,
    alive                  BOOLEAN,
    no_known_osteoporosis  BOOLEAN,
    not_treated            BOOLEAN,
    open                   BOOLEAN NOT NULL,
    flagged                BOOLEAN NOT NULL
);
COMMENT ON TABLE research.care_gap IS 'One row a patient with a measured study: why the patient is, or is not, on the list.';
COMMENT ON COLUMN research.care_gap.patient_key IS 'The patient, see table patient.';
COMMENT ON COLUMN research.care_gap.study_key IS 'The newest measured study, see table study.';
COMMENT ON COLUMN research.care_gap.weeks_from_last_dxa_to_ct IS 'From the newest central DXA on record to the CT, whole weeks, rounded down, negative when the CT came first; NULL when there is none or a date is not known.';
COMMENT ON COLUMN research.care_gap.last_dxa_month IS 'First day of the month of the newest central DXA on record; NULL when there is none.';
INSERT INTO research.care_gap
SELECT
    key_of_patient(patient_id) AS patient_key,
    key_of_study(study_instance_uid),
    whole_weeks(date_diff('day', last_dxa_date, study.study_date)),
    month_of(last_dxa_date),
    likely_osteoporosis,
    identified,
    old_enough,
    no_dxa_in_look_back,
    no_dxa_since_ct,
    alive,
    no_known_osteoporosis,
    not_treated,
    open,
    flagged
FROM care_gap
JOIN study USING (study_instance_uid, patient_id)
ANTI JOIN opted_out USING (patient_id)
ORDER BY patient_key;
ALTER TABLE research.care_gap ADD PRIMARY KEY (patient_key);
