-- Refused records of one batch, from the Arrow table `rejected`.
INSERT INTO incoming_reject BY NAME
SELECT
    sha256(concat_ws(chr(31), $kind, $source_format, place, record)) AS record_digest,
    $kind AS kind,
    $source_format AS source_format,
    $source_file AS source_file,
    nullif(row_number, 0) AS row_number,
    place,
    reason,
    record,
    nullif(patient_id, '') AS patient_id,
    dxa_date::DATE AS dxa_date,
    nullif(region, '') AS region,
    $imported_at AS rejected_at
FROM rejected;
