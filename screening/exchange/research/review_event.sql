CREATE TABLE research.review_event (
    study_key              VARCHAR NOT NULL,
    number                 INTEGER NOT NULL,
    patient_key            VARCHAR NOT NULL,
    action                 VARCHAR NOT NULL,
    made_month             DATE NOT NULL,
    newest                 BOOLEAN NOT NULL
);
COMMENT ON TABLE research.review_event IS 'One row a decision about a CT on the list, without who decided and what they wrote.';
COMMENT ON COLUMN research.review_event.study_key IS 'The CT, see table study.';
COMMENT ON COLUMN research.review_event.number IS 'Number of the decision among those about this CT, oldest first, from 1.';
COMMENT ON COLUMN research.review_event.patient_key IS 'The patient, see table patient.';
COMMENT ON COLUMN research.review_event.made_month IS 'First day of the month in which it was decided.';
COMMENT ON COLUMN research.review_event.newest IS 'Whether it is the newest decision about this CT, which says where it stands.';
INSERT INTO research.review_event
SELECT
    key_of_study(study_instance_uid) AS study_key,
    row_number() OVER (PARTITION BY study_instance_uid ORDER BY event_id) AS number,
    key_of_patient(patient_id),
    action,
    month_of(made_at),
    row_number() OVER (PARTITION BY study_instance_uid ORDER BY event_id DESC) = 1
FROM review_event
ANTI JOIN opted_out USING (patient_id)
ORDER BY study_key, number;
ALTER TABLE research.review_event ADD PRIMARY KEY (study_key, number);
