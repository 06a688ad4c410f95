-- What did one comparison find?
-- One row a figure; groups in the order of what they stand for, "unknown" last. Parameter: run_id.
SELECT reader, dimension, subgroup, metric, value, ci_low, ci_high, n, note
FROM validation_metric
WHERE run_id = $run_id
ORDER BY
    reader,
    dimension,
    subgroup = 'unknown',
    CASE
        WHEN starts_with(subgroup, 'below ') THEN -1
        WHEN starts_with(subgroup, 'from ') THEN 1e9
        ELSE coalesce(try_cast(regexp_extract(subgroup, '^[0-9.]+') AS DOUBLE), 0)
    END,
    subgroup,
    metric;
