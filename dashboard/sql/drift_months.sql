-- In which state was each scanner in each month?
-- One row a scanner and month: the gravest state of the metrics asked for. Parameter: metric (NULL: all of them).
SELECT
    scanner,
    month,
    CASE
        WHEN bool_or(state = 'alert') THEN 'alert'
        WHEN bool_or(state = 'stable') THEN 'stable'
        WHEN bool_or(state = 'baseline') THEN 'baseline'
        ELSE 'too_few'
    END AS state,
    count(*) FILTER (state = 'alert') AS alert_count,
    max(n) AS study_count
FROM drift_metric
WHERE $metric IS NULL OR metric = $metric
GROUP BY scanner, month
ORDER BY scanner, month;
