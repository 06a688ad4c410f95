-- How many patients with a measured CT have no DXA near it, by what may have led to one?
-- One row an age in years, sex and step of 0.02 g/cm2 of BMD_CNN. Parameters: paired (patients not to be counted).
SELECT
    floor(age_years) AS age_years,
    coalesce(sex, 'unknown') AS sex,
    round(bmd_cnn / 0.02) * 0.02 AS bmd_cnn,
    count(*) AS patients
FROM patient_bmd
ANTI JOIN paired USING (patient_id)
GROUP BY ALL
ORDER BY ALL;
