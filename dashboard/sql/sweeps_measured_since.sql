-- Which studies were measured after a night, under the active checkpoint?
-- Parameter: sweep_id_before.
SELECT outcome.study_instance_uid
FROM outcome
JOIN model USING (checkpoint_sha256)
WHERE model.active AND outcome.status = 'measured' AND outcome.sweep_id > $sweep_id_before;
