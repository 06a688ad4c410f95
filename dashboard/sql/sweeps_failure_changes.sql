-- Which studies have failed since an earlier publication, and what became of those that had failed?
-- Under the active checkpoint. Table handed in: failed_before.
WITH now_ended AS (
    SELECT outcome.study_instance_uid, outcome.status, outcome.stage, outcome.reason
    FROM outcome
    JOIN model USING (checkpoint_sha256)
    WHERE model.active
),
changed AS (
    SELECT 'came' AS change, now_ended.*
    FROM now_ended
    WHERE status = 'failed' AND study_instance_uid NOT IN (SELECT study_instance_uid FROM failed_before)
    UNION ALL
    SELECT
        'went' AS change,
        failed_before.study_instance_uid,
        coalesce(now_ended.status, 'not read yet') AS status,
        failed_before.stage,
        coalesce(now_ended.reason, failed_before.reason) AS reason
    FROM failed_before
    LEFT JOIN now_ended USING (study_instance_uid)
    WHERE now_ended.status IS DISTINCT FROM 'failed'
)
SELECT
    changed.change,
    study.study_date,
    nullif(study.accession_number, '') AS accession_number,
    changed.status,
    changed.stage,
    changed.reason,
    '/patient?study=' || study.study_key AS patient_page
FROM changed
LEFT JOIN study USING (study_instance_uid)
ORDER BY changed.change, changed.stage, changed.reason, study.study_date DESC NULLS LAST, changed.study_instance_uid;
