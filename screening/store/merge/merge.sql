-- Records are added, results put in their place: all of an import or nothing.
-- In the order of its key a table grows several times faster.
INSERT INTO dxa_record BY NAME SELECT * EXCLUDE (key_hash) FROM fresh ORDER BY record_digest;
UPDATE dxa_record SET patient_id = moved.patient_id, manufacturer = moved.manufacturer
FROM moved
WHERE dxa_record.record_digest = moved.record_digest;

DELETE FROM dxa
WHERE hash(patient_id, dxa_date, region, manufacturer) IN (SELECT key_hash FROM crowded)
    AND NOT EXISTS (
        FROM current_result
        WHERE current_result.patient_id = dxa.patient_id
            AND current_result.dxa_date = dxa.dxa_date
            AND current_result.region = dxa.region
            AND current_result.manufacturer = dxa.manufacturer
    );
INSERT OR REPLACE INTO dxa BY NAME SELECT * FROM current_result;
INSERT INTO dxa BY NAME
SELECT
    patient_id, dxa_date, region, bmd_dxa, t_score, z_score, manufacturer, status, issued_at, source_file, imported_at
FROM fresh
ANTI JOIN crowded USING (key_hash)
WHERE status <> 'withdrawn'
ORDER BY patient_id, dxa_date;
