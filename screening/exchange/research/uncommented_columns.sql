-- Columns of the pseudonymised tables without a comment of their own, with the comment of the same column in the
-- publication: of the table of that name, else of any.
SELECT
    made.table_name,
    made.column_name,
    arg_min(known.comment, known.table_name <> made.table_name)
FROM duckdb_columns() AS made
JOIN duckdb_columns() AS known USING (column_name)
WHERE made.database_name = 'research' AND made.comment IS NULL
    AND known.database_name = 'identified' AND known.comment IS NOT NULL
GROUP BY ALL;
