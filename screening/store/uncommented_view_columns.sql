-- View columns without a comment of their own, with that of the table column they most likely are: of the tables with a
-- column of this name, the one that shares the most column names with the view.
WITH view_column AS (
    SELECT columns.table_name AS view_name, columns.column_name, columns.comment
    FROM duckdb_columns() AS columns
    JOIN duckdb_views() AS views
        ON views.view_name = columns.table_name AND views.schema_oid = columns.schema_oid
    WHERE NOT views.internal
),
table_column AS (
    SELECT columns.table_name, columns.column_name, columns.comment
    FROM duckdb_columns() AS columns
    JOIN duckdb_tables() AS tables ON tables.table_oid = columns.table_oid
    WHERE columns.comment IS NOT NULL
),
shared AS (
    SELECT view_column.view_name, table_column.table_name, count(*) AS column_count
    FROM view_column
    JOIN table_column USING (column_name)
    GROUP BY ALL
)
SELECT view_column.view_name, view_column.column_name, table_column.comment
FROM view_column
JOIN table_column USING (column_name)
JOIN shared USING (view_name, table_name)
WHERE view_column.comment IS NULL
QUALIFY row_number() OVER (
    PARTITION BY view_column.view_name, view_column.column_name ORDER BY shared.column_count DESC, table_name
) = 1;
