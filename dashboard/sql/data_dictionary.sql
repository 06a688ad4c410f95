-- What does each column mean?
-- Parameter: search, part of a name or meaning; empty: every column.
SELECT relation, kind, column_name, data_type, comment
FROM data_dictionary
WHERE $search = ''
    OR contains(lower(relation || ' ' || column_name || ' ' || coalesce(comment, '')), lower($search))
ORDER BY relation, position;
