-- At which tube voltages does each scanner model measure?
SELECT
    trim(manufacturer || ' ' || manufacturer_model_name) AS scanner,
    kvp_kv,
    count(*) AS study_count,
    study_count / sum(study_count) OVER (PARTITION BY scanner) AS share_of_scanner
FROM series
WHERE chosen
GROUP BY scanner, kvp_kv
ORDER BY scanner, kvp_kv;
