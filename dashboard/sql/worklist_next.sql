-- Who comes after this patient among those that wait for a decision?
-- The next one in the order of probability, whatever became of this one; none after the last. Parameter: patient_id.
SELECT study_key
FROM worklist_now
WHERE open AND rank > (SELECT coalesce(max(rank), 0) FROM worklist_now WHERE patient_id = $patient_id)
ORDER BY rank
LIMIT 1;
