-- Results stored by a version that kept no records: each becomes the record it follows from.
INSERT OR IGNORE INTO dxa_record BY NAME
SELECT
    dxa_record_digest(
        '', patient_id, dxa_date, region, manufacturer, bmd_dxa, t_score, NULL::DOUBLE, 'final', NULL::TIMESTAMP
    ) AS record_digest,
    patient_id,
    '' AS issuer,
    patient_id AS identifier,
    dxa_date,
    region,
    manufacturer,
    manufacturer AS manufacturer_text,
    bmd_dxa,
    t_score,
    'final' AS status,
    'earlier' AS source_format,
    source_file,
    imported_at
FROM dxa;
