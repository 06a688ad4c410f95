-- The results that an import speaks of, where they have several records: worked out anew from all of them.
CREATE OR REPLACE TEMP TABLE several AS
WITH every_record AS (
    SELECT * FROM dxa_record ANTI JOIN moved USING (record_digest)
    UNION ALL BY NAME
    SELECT dxa_record.* REPLACE (moved.patient_id AS patient_id, moved.manufacturer AS manufacturer)
    FROM dxa_record
    JOIN moved USING (record_digest)
)
SELECT * FROM every_record
WHERE hash(patient_id, dxa_date, region, manufacturer) IN (SELECT key_hash FROM crowded)
UNION ALL BY NAME
SELECT * EXCLUDE (key_hash) FROM fresh SEMI JOIN crowded USING (key_hash);

-- What is taken back: a withdrawal takes back what was issued until then; one that names no time, all; one that names
-- values, those; one without values, the whole result.
CREATE OR REPLACE TEMP TABLE current_result AS
WITH taken_back AS (
    SELECT
        patient_id,
        dxa_date,
        region,
        manufacturer,
        max(coalesce(issued_at, 'infinity'::TIMESTAMP)) FILTER (bmd_dxa IS NULL AND t_score IS NULL AND z_score IS NULL)
            AS all_until,
        max(coalesce(issued_at, 'infinity'::TIMESTAMP)) FILTER (bmd_dxa IS NOT NULL) AS bmd_until,
        max(coalesce(issued_at, 'infinity'::TIMESTAMP)) FILTER (t_score IS NOT NULL) AS t_until,
        max(coalesce(issued_at, 'infinity'::TIMESTAMP)) FILTER (z_score IS NOT NULL) AS z_until
    FROM several
    WHERE status = 'withdrawn'
    GROUP BY patient_id, dxa_date, region, manufacturer
),
weighed AS (
    SELECT
        several.*,
        coalesce(issued_at, '-infinity'::TIMESTAMP) AS issued,
        {
            'issued': issued,
            'rank': CASE status WHEN 'corrected' THEN 3 WHEN 'final' THEN 2 ELSE 1 END
        } AS weight,
        -- greatest() passes NULL over: without a withdrawal there is none of them
        coalesce(issued > greatest(all_until, bmd_until), true) AND bmd_dxa IS NOT NULL AS has_bmd,
        coalesce(issued > greatest(all_until, t_until), true) AND t_score IS NOT NULL AS has_t,
        coalesce(issued > greatest(all_until, z_until), true) AND z_score IS NOT NULL AS has_z,
        coalesce(issued > all_until, true)
            AND bmd_dxa IS NULL AND t_score IS NULL AND z_score IS NULL AS is_report
    FROM several
    LEFT JOIN taken_back USING (patient_id, dxa_date, region, manufacturer)
    WHERE status <> 'withdrawn'
),
newest AS (
    SELECT
        patient_id,
        dxa_date,
        region,
        manufacturer,
        max(weight) AS of_all,
        max(weight) FILTER (has_bmd) AS of_bmd,
        max(weight) FILTER (has_t) AS of_t,
        max(weight) FILTER (has_z) AS of_z
    FROM weighed
    WHERE has_bmd OR has_t OR has_z OR is_report
    GROUP BY patient_id, dxa_date, region, manufacturer
),
spread AS (
    SELECT
        patient_id,
        dxa_date,
        region,
        manufacturer,
        min(bmd_dxa) FILTER (has_bmd AND weight = of_bmd) AS bmd,
        min(t_score) FILTER (has_t AND weight = of_t) AS t,
        min(z_score) FILTER (has_z AND weight = of_z) AS z,
        coalesce(max(bmd_dxa) FILTER (has_bmd AND weight = of_bmd) > bmd, false)
            OR coalesce(max(t_score) FILTER (has_t AND weight = of_t) > t, false)
            OR coalesce(max(z_score) FILTER (has_z AND weight = of_z) > z, false) AS conflict,
        max(status) FILTER (weight = of_all) AS status,
        max(issued_at) FILTER (weight = of_all) AS issued_at,
        min(source_file) AS source_file,
        min(imported_at) AS imported_at
    FROM weighed
    JOIN newest USING (patient_id, dxa_date, region, manufacturer)
    WHERE has_bmd OR has_t OR has_z OR is_report
    GROUP BY patient_id, dxa_date, region, manufacturer
)
SELECT
    patient_id,
    dxa_date,
    region,
    manufacturer,
    CASE WHEN NOT conflict THEN bmd END AS bmd_dxa,
    CASE WHEN NOT conflict THEN t END AS t_score,
    CASE WHEN NOT conflict THEN z END AS z_score,
    conflict,
    status,
    issued_at,
    source_file,
    imported_at
FROM spread;
