-- Checked records of one batch, from the Arrow table `accepted`.
INSERT INTO incoming BY NAME
SELECT
    dxa_record_digest(
        issuer, identifier, dxa_date::DATE, region, manufacturer_text, bmd_dxa, t_score, z_score, status, issued_at
    ) AS record_digest,
    hash(patient_id, dxa_date::DATE, region, manufacturer) AS key_hash,
    accepted.* REPLACE (dxa_date::DATE AS dxa_date),
    $source_format AS source_format,
    $source_file AS source_file,
    $imported_at AS imported_at
FROM accepted;
