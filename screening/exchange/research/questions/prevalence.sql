-- How common is likely osteoporosis, by age and sex?
-- Among patients measured at 50 or over, at their newest CT; who is scanned is not who lives around the hospital.
SELECT
    10 * (study_bmd.age_years // 10) AS age_from_years,
    patient.sex,
    count(*) AS patient_count,
    count(*) FILTER (study_bmd.band = 'likely') AS likely_count,
    likely_count / patient_count AS likely_share
FROM study_bmd
JOIN patient USING (patient_key)
WHERE study_bmd.newest AND study_bmd.age_years >= 50
GROUP BY ALL
ORDER BY ALL;
