-- With which publications stood the results between the end of the night before and the start of a night?
-- Oldest first; a night that did not come to its end published nothing. Parameter: sweep_id.
WITH night AS (
    SELECT started_at FROM sweep WHERE sweep_id = $sweep_id
),
night_before AS (
    SELECT sweep_id, ended_at
    FROM sweep
    WHERE sweep_id < $sweep_id AND ended_at IS NOT NULL
    ORDER BY sweep_id DESC
    LIMIT 1
)
SELECT publication.publication_id, publication.published_at, night_before.sweep_id AS sweep_id_before
FROM publication
CROSS JOIN night
CROSS JOIN night_before
WHERE publication.published_at BETWEEN night_before.ended_at AND night.started_at
ORDER BY publication.publication_id;
