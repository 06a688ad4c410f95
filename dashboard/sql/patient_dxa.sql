-- Which DXA results of the patient are on record?
-- Newest first. Parameter: patient_id.
SELECT
    dxa_date,
    replace(region, '_', ' ') AS region,
    bmd_dxa,
    t_score,
    nullif(manufacturer, '') AS manufacturer,
    source_file
FROM dxa
WHERE patient_id = $patient_id
ORDER BY dxa_date DESC, dxa.region, dxa.manufacturer;
