-- Tables that stand as an earlier version made them, with keys or rules that can only be had by making them anew.
-- dxa refused a DXA without values; rejected_record was of CSV alone; series held one row a SeriesInstanceUID; vertebra
-- had no heights.
SELECT table_name
FROM duckdb_columns()
WHERE table_name IN ('dxa', 'rejected_record', 'series', 'vertebra') AND NOT internal
GROUP BY table_name
HAVING NOT list_contains(
    list(column_name),
    CASE table_name
        WHEN 'dxa' THEN 'conflict'
        WHEN 'rejected_record' THEN 'place'
        WHEN 'series' THEN 'acquisition'
        ELSE 'height_loss'
    END
);
