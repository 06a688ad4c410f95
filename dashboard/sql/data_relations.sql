-- Which tables and views can be taken along, and what is each of?
-- The index of the archive is not among them: its rows are paths and packed headers, made for the sweep alone; nor is
-- what other views are made of.
SELECT data_dictionary.relation, data_dictionary.kind, coalesce(max(tables.comment), '') AS comment
FROM data_dictionary
LEFT JOIN duckdb_tables() AS tables
    ON tables.table_name = data_dictionary.relation AND tables.database_name = current_database()
WHERE relation NOT IN ('folder_index', 'full_walk', 'series_index', 'file_problem', 'data_dictionary', 'banded_patient')
GROUP BY data_dictionary.relation, data_dictionary.kind
ORDER BY data_dictionary.relation <> 'study_bmd', data_dictionary.kind DESC, data_dictionary.relation;
