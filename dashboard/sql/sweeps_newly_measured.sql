-- How many of these studies were not measured in this publication, under its active checkpoint?
-- Table handed in: measured_since.
SELECT count(*) AS study_count
FROM measured_since
ANTI JOIN (
    SELECT outcome.study_instance_uid
    FROM outcome
    JOIN model USING (checkpoint_sha256)
    WHERE model.active AND outcome.status = 'measured'
) AS measured_before USING (study_instance_uid);
