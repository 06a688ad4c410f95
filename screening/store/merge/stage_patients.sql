-- Checked facts of one batch, from the Arrow table `accepted`.
INSERT INTO incoming_fact BY NAME
SELECT
    accepted.* REPLACE (since_date::DATE AS since_date, recorded_on::DATE AS recorded_on),
    $source_file AS source_file,
    $imported_at AS imported_at
FROM accepted;
