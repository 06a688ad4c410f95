-- Why are studies not measured, at each site?
SELECT
    site,
    status,
    reason,
    count(*) AS study_count,
    study_count / sum(study_count) OVER (PARTITION BY site) AS share_of_site
FROM study
WHERE status IS NOT NULL
GROUP BY site, status, reason
ORDER BY site, study_count DESC, reason;
