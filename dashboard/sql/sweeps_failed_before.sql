-- Which studies had failed in this publication, under its active checkpoint?
SELECT outcome.study_instance_uid, outcome.stage, outcome.reason
FROM outcome
JOIN model USING (checkpoint_sha256)
WHERE model.active AND outcome.status = 'failed';
