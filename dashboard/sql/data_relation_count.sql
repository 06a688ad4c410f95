-- How many rows has this table or view?
-- Parameter: relation.
SELECT count(*) AS row_count FROM query_table($relation);
