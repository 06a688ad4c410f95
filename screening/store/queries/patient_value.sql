-- What is a patient's newest BMD_CNN?
SELECT
    round(bmd_cnn, 3) AS "BMD_CNN g/cm2",
    round(bmd_low, 3) || ' to ' || round(bmd_high, 3) AS "90 % interval",
    round(t_score, 1) AS "T-score",
    reference,
    coalesce(category, '') AS band_of_the_number,
    array_to_string(warnings, '; ') AS warnings
FROM patient_bmd
WHERE patient_id = ?;
