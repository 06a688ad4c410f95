-- View columns without a comment of their own, with the comment of the table column that carries the same name.
SELECT
    view_columns.table_name,
    view_columns.column_name,
    any_value(table_columns.comment ORDER BY table_columns.table_oid)
FROM duckdb_columns() AS view_columns
JOIN duckdb_views() AS views
    ON views.view_name = view_columns.table_name AND views.schema_oid = view_columns.schema_oid
JOIN duckdb_columns() AS table_columns
    ON table_columns.column_name = view_columns.column_name AND table_columns.schema_oid = view_columns.schema_oid
JOIN duckdb_tables() AS tables ON tables.table_oid = table_columns.table_oid
WHERE NOT views.internal AND view_columns.comment IS NULL AND table_columns.comment IS NOT NULL
GROUP BY ALL;
