-- What was decided about the patient, in its order?
-- Table handed in: later_event (decisions newer than the publication). Parameter: patient_id.
SELECT * FROM review_event WHERE patient_id = $patient_id
UNION ALL BY NAME
SELECT * FROM later_event WHERE patient_id = $patient_id
ORDER BY event_id;
