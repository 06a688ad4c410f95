"""The DuckDB database: schema, writing, publication, views."""
