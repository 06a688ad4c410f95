-- Who came onto the list, and when: written at publication.

CREATE TABLE IF NOT EXISTS flag_event (
    patient_id             VARCHAR NOT NULL,
    study_instance_uid     VARCHAR NOT NULL,
    flagged_on             DATE NOT NULL,
    publication_id         INTEGER NOT NULL,
    PRIMARY KEY (patient_id, study_instance_uid)
);
COMMENT ON TABLE flag_event IS 'One row a patient and CT that ever stood in the view flagged; it stays when the patient leaves the list.';
COMMENT ON COLUMN flag_event.patient_id IS 'The patient, as in table patient.';
COMMENT ON COLUMN flag_event.study_instance_uid IS 'StudyInstanceUID (0020,000D) of the CT that was flagged.';
COMMENT ON COLUMN flag_event.flagged_on IS 'publication.as_of_date of the publication in which it was first flagged.';
COMMENT ON COLUMN flag_event.publication_id IS 'That publication.';
