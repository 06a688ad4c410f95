-- What becomes of the facts of an import, before it is merged?
WITH compared AS (
    SELECT
        earlier.patient_id IS NULL AS is_new,
        (current_fact.holds, current_fact.recorded_on, current_fact.since_date)
            IS DISTINCT FROM (earlier.holds, earlier.recorded_on, earlier.since_date) AS differs
    FROM current_fact
    LEFT JOIN patient_context AS earlier USING (patient_id, fact)
),
counted AS (
    SELECT count(*) FILTER (is_new) AS added, count(*) FILTER (NOT is_new AND differs) AS updated FROM compared
)
SELECT
    added,
    updated,
    (SELECT count(*) FROM incoming_fact) - added - updated AS unchanged,
    (SELECT count(*) FROM incoming_reject) AS rejected
FROM counted;
