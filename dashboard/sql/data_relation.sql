-- What are the rows of this table or view?
-- Parameter: relation.
FROM query_table($relation);
