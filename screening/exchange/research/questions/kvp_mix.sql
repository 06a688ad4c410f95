-- At which tube voltages does each scanner measure?
SELECT
    scanner,
    kvp_kv,
    count(*) AS study_count,
    study_count / sum(study_count) OVER (PARTITION BY scanner) AS share_of_scanner
FROM study
WHERE status = 'measured'
GROUP BY scanner, kvp_kv
ORDER BY scanner, kvp_kv;
