-- Where does each scanner stand in its newest month?
-- One row a scanner: months seen, alerts ever and in the newest month, and the shift of that month that stands out most.
-- The state of a month is the gravest of its metrics: an alert, else judged and stable, else being learned.
WITH newest AS (
    SELECT scanner, max(month) AS newest_month, min(month) AS first_month, count(DISTINCT month) AS month_count
    FROM drift_metric
    GROUP BY scanner
),
ever AS (
    SELECT
        scanner,
        count(DISTINCT month) FILTER (state = 'alert') AS alert_month_count,
        max(month) FILTER (state = 'alert') AS last_alert_month
    FROM drift_metric
    GROUP BY scanner
),
latest AS (
    SELECT
        drift_metric.scanner,
        CASE
            WHEN bool_or(state = 'alert') THEN 'alert'
            WHEN bool_or(state = 'stable') THEN 'stable'
            WHEN bool_or(state = 'baseline') THEN 'baseline'
            ELSE 'too_few'
        END AS state,
        count(*) FILTER (state = 'alert') AS alert_count,
        max(n) AS study_count,
        arg_max(metric, abs(z) / z_limit) AS worst_metric,
        arg_max(shift, abs(z) / z_limit) AS worst_shift,
        arg_max(z, abs(z) / z_limit) AS worst_z,
        arg_max(z_limit, abs(z) / z_limit) AS z_limit
    FROM drift_metric
    JOIN newest ON newest.scanner = drift_metric.scanner AND newest.newest_month = drift_metric.month
    GROUP BY drift_metric.scanner
)
SELECT *
FROM newest
JOIN ever USING (scanner)
JOIN latest USING (scanner)
ORDER BY latest.state <> 'alert', ever.last_alert_month DESC NULLS LAST, scanner;
