-- Enter who is flagged in the newest publication and never was before, with this CT.
INSERT INTO flag_event
SELECT flagged.patient_id, flagged.study_instance_uid, latest.as_of_date, latest.publication_id
FROM flagged
CROSS JOIN (FROM publication ORDER BY publication_id DESC LIMIT 1) AS latest
ANTI JOIN flag_event USING (patient_id, study_instance_uid);
