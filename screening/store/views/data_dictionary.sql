-- What does each column mean?
-- Every table and view of this database with type, unit or tag, and comment.
CREATE OR REPLACE VIEW data_dictionary AS
SELECT
    duckdb_columns.table_name AS relation,
    CASE WHEN duckdb_tables.table_name IS NULL THEN 'view' ELSE 'table' END AS kind,
    duckdb_columns.column_index AS position,
    duckdb_columns.column_name,
    duckdb_columns.data_type,
    duckdb_columns.is_nullable,
    duckdb_columns.comment
FROM duckdb_columns()
LEFT JOIN duckdb_tables() AS duckdb_tables USING (database_oid, schema_oid, table_name)
WHERE NOT duckdb_columns.internal AND duckdb_columns.schema_name = 'main'
ORDER BY relation, position;
COMMENT ON COLUMN data_dictionary.relation IS 'Name of the table or view.';
COMMENT ON COLUMN data_dictionary.kind IS 'table or view.';
COMMENT ON COLUMN data_dictionary.position IS 'Place of the column in its relation, from 1.';
COMMENT ON COLUMN data_dictionary.column_name IS 'Name of the column.';
COMMENT ON COLUMN data_dictionary.data_type IS 'DuckDB type.';
COMMENT ON COLUMN data_dictionary.is_nullable IS 'Whether a value may be missing.';
COMMENT ON COLUMN data_dictionary.comment IS 'Unit, DICOM tag or definition.';
