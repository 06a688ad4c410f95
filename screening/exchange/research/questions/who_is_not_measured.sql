-- Who is not measured: are some ages or one sex left out more often?
SELECT
    20 * (age_years // 20) AS age_from_years,
    sex,
    count(*) AS study_count,
    count(*) FILTER (status <> 'measured') / study_count AS not_measured_share,
    mode(reason) AS commonest_reason
FROM study
WHERE status IS NOT NULL
GROUP BY age_from_years, sex
ORDER BY age_from_years, sex;
