-- The rule of a table dxa from before single levels could be imported; no row where it accepts them.
SELECT constraint_text
FROM duckdb_constraints()
WHERE
    table_name = 'dxa' AND constraint_type = 'CHECK'
    AND contains(constraint_text, 'region') AND NOT contains(constraint_text, '''L1''');
