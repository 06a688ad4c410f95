-- Who is not measured: are some ages or one sex left out more often?
SELECT
    20 * floor(study.age_years / 20)::INTEGER AS age_from_years,
    study.sex,
    count(*) AS study_count,
    count(*) FILTER (outcome.status <> 'measured') / study_count AS not_measured_share,
    mode(outcome.reason) AS commonest_reason
FROM outcome
JOIN study USING (study_instance_uid)
JOIN model USING (checkpoint_sha256)
WHERE model.active
GROUP BY age_from_years, study.sex
ORDER BY age_from_years, study.sex;
