-- How common is likely osteoporosis, by age and sex?
-- Among patients measured at 50 or over, at their newest CT; who is scanned is not who lives around the hospital.
SELECT
    10 * floor(age_years / 10)::INTEGER AS age_from_years,
    sex,
    count(*) AS patient_count,
    count(*) FILTER (band = 'likely') AS likely_count,
    likely_count / patient_count AS likely_share
FROM patient_bmd
WHERE age_years >= 50
GROUP BY ALL
ORDER BY ALL;
