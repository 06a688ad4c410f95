-- Why are studies not measured, at each site?
SELECT
    study.institution_name,
    outcome.status,
    outcome.reason,
    count(*) AS study_count,
    study_count / sum(study_count) OVER (PARTITION BY study.institution_name) AS share_of_site
FROM outcome
JOIN study USING (study_instance_uid)
JOIN model USING (checkpoint_sha256)
WHERE model.active
GROUP BY study.institution_name, outcome.status, outcome.reason
ORDER BY study.institution_name, study_count DESC, outcome.reason;
