-- Which decisions were made since, in their order?
-- Parameters: after (number of the last one that is known), patient_id (NULL: about everybody).
SELECT *
FROM review_event
WHERE event_id > $after AND patient_id = coalesce($patient_id, patient_id)
ORDER BY event_id;
