-- The facts that an import speaks of: the newest record of each, and of one day that it holds.
CREATE OR REPLACE TEMP TABLE current_fact AS
WITH every_record AS (
    SELECT * FROM patient_context SEMI JOIN incoming_fact USING (patient_id, fact)
    UNION ALL BY NAME
    SELECT * FROM incoming_fact
),
newest AS (
    SELECT patient_id, fact, max({'recorded_on': recorded_on, 'holds': holds}) AS standing
    FROM every_record
    GROUP BY patient_id, fact
)
SELECT
    patient_id,
    fact,
    any_value(standing.holds) AS holds,
    min(since_date) AS since_date,
    any_value(standing.recorded_on) AS recorded_on,
    min(source_file) AS source_file,
    min(imported_at) AS imported_at
FROM every_record
JOIN newest USING (patient_id, fact)
WHERE {'recorded_on': recorded_on, 'holds': holds} = standing
GROUP BY patient_id, fact;
