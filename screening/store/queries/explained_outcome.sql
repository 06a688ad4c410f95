-- How did reading a study end? Under the active checkpoint first, then the newest. Parameter: study_instance_uid.
SELECT
    outcome.checkpoint_sha256,
    outcome.status,
    outcome.reason,
    outcome.detail,
    outcome.stage,
    outcome.read_at,
    study.age_years
FROM outcome
JOIN study USING (study_instance_uid)
JOIN model USING (checkpoint_sha256)
WHERE outcome.study_instance_uid = ?
ORDER BY model.active DESC, outcome.read_at DESC;
