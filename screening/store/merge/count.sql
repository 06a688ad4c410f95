-- What becomes of the records of an import, before it is merged? A record that takes one back counts as refused.
WITH new_ones AS (
    SELECT fresh.status, dxa.patient_id IS NOT NULL AS has_result
    FROM fresh
    LEFT JOIN dxa USING (patient_id, dxa_date, region, manufacturer)
    UNION ALL
    SELECT status, true FROM moved
),
counted AS (
    SELECT
        count(*) FILTER (NOT has_result) AS added,
        count(*) FILTER (has_result) AS updated
    FROM new_ones
    WHERE status <> 'withdrawn'
)
SELECT
    added,
    updated,
    (SELECT count(*) FROM incoming WHERE status <> 'withdrawn') - added - updated AS unchanged,
    (SELECT count(*) FROM incoming_reject) AS rejected
FROM counted;
