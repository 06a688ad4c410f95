-- What did one scanner read in each month, held against its first months?
-- One row a month. Parameters: scanner, metric.
SELECT month, value, n, state, baseline, baseline_n, shift, z, months, z_limit, material_shift
FROM drift_metric
WHERE scanner = $scanner AND metric = $metric
ORDER BY month;
