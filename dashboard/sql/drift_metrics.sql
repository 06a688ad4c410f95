-- Which metrics were judged, and how many months of each are alerts?
-- One row a metric, those with alerts first. Parameter: scanner (NULL: of all scanners).
SELECT metric, count(*) FILTER (state = 'alert') AS alert_count
FROM drift_metric
WHERE $scanner IS NULL OR scanner = $scanner
GROUP BY metric
ORDER BY alert_count = 0, contains(metric, ':'), metric;
