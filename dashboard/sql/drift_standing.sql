-- Up to which month were scanners judged, how many could be, and are there measured CT of a later month?
-- One row; newest_month is NULL where drift was never run. Parameter: newest_months (how many count as the newest).
WITH newest AS (
    SELECT DISTINCT month FROM drift_metric ORDER BY month DESC LIMIT $newest_months
),
judged AS (
    SELECT
        max(month) AS newest_month,
        count(DISTINCT scanner) AS scanner_count,
        count(DISTINCT scanner) FILTER (
            state IN ('alert', 'stable') AND month IN (SELECT month FROM newest)
        ) AS judged_count
    FROM drift_metric
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
    scanner_count,
    judged_count,
    newest_study_date,
    coalesce(date_trunc('month', newest_study_date) > newest_month, false) AS later_months
FROM judged
CROSS JOIN measured;
