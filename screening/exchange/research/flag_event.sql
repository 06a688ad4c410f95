-- When a patient was flagged is a date that is known of each publication, so the days from it to a DXA would tell the
-- day of the DXA: months are given, and whether it was in time, by the rule of the view care_gap_month.
CREATE TABLE research.flag_event (
    study_key              VARCHAR NOT NULL,
    patient_key            VARCHAR NOT NULL,
    flagged_month          DATE NOT NULL,
    next_dxa_month         DATE,
    had_dxa_already        BOOLEAN NOT NULL,
    dxa_within_12_weeks    BOOLEAN NOT NULL
);
COMMENT ON TABLE research.flag_event IS 'One row a CT that ever flagged its patient; it stays when the patient leaves the list.';
COMMENT ON COLUMN research.flag_event.study_key IS 'The CT, see table study.';
COMMENT ON COLUMN research.flag_event.patient_key IS 'The patient, see table patient.';
COMMENT ON COLUMN research.flag_event.flagged_month IS 'First day of the month in which it was first flagged.';
COMMENT ON COLUMN research.flag_event.next_dxa_month IS 'First day of the month of the first central DXA from the flag on; NULL when there is none.';
COMMENT ON COLUMN research.flag_event.had_dxa_already IS 'A central DXA between CT and flag, on record only later.';
COMMENT ON COLUMN research.flag_event.dxa_within_12_weeks IS 'A central DXA from the day of the flag to 84 days after it, and none between CT and flag (had_dxa_already).';
INSERT INTO research.flag_event
SELECT
    key_of_study(flag_event.study_instance_uid) AS study_key,
    key_of_patient(any_value(flag_event.patient_id)),
    month_of(any_value(flag_event.flagged_on)),
    month_of(min(dxa.dxa_date) FILTER (dxa.dxa_date >= flag_event.flagged_on)),
    count(*) FILTER (dxa.dxa_date < flag_event.flagged_on AND dxa.dxa_date >= study.study_date) > 0 AS had_dxa_already,
    NOT had_dxa_already
        AND count(*) FILTER (dxa.dxa_date BETWEEN flag_event.flagged_on AND flag_event.flagged_on + 84) > 0
FROM flag_event
LEFT JOIN study USING (study_instance_uid)
LEFT JOIN dxa ON dxa.patient_id = flag_event.patient_id
ANTI JOIN opted_out ON opted_out.patient_id = flag_event.patient_id
GROUP BY flag_event.study_instance_uid
ORDER BY study_key;
ALTER TABLE research.flag_event ADD PRIMARY KEY (study_key);
