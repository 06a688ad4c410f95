-- Of the studies last read in a night: why were how many excluded, and where did how many break?
-- Parameter: sweep_id.
SELECT status, stage, reason, count(*) AS study_count
FROM outcome
WHERE sweep_id = $sweep_id AND status <> 'measured'
GROUP BY status, stage, reason
ORDER BY study_count DESC, reason, stage;
