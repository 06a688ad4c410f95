-- Up to which month were scanners judged, and are there measured CT of a later one?
-- One row; NULL where drift was never run.
WITH judged AS (
    SELECT max(month) AS newest_month FROM drift_metric
),
measured AS (
    SELECT max(study.study_date) AS newest_study_date
    FROM study_bmd
    JOIN model USING (checkpoint_sha256)
    JOIN study USING (study_instance_uid)
    WHERE model.active
)
SELECT
    newest_month,
    newest_study_date,
    coalesce(date_trunc('month', newest_study_date) > newest_month, false) AS later_months
FROM judged
CROSS JOIN measured;
