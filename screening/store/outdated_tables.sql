-- Tables that stand as an earlier version made them, with keys or rules that can only be had by making them anew.
-- dxa refused single levels; series held one row a SeriesInstanceUID; vertebra had no heights.
SELECT table_name
FROM duckdb_constraints()
WHERE
    table_name = 'dxa' AND constraint_type = 'CHECK'
    AND contains(constraint_text, 'region') AND NOT contains(constraint_text, '''L1''')
UNION
SELECT table_name
FROM duckdb_columns()
WHERE table_name IN ('series', 'vertebra') AND NOT internal
GROUP BY table_name
HAVING NOT list_contains(
    list(column_name), CASE table_name WHEN 'series' THEN 'acquisition' ELSE 'height_loss' END
);
