-- Which share of the studies of each scanner and month was flagged, failed, or excluded for which reason?
-- A reason that a scanner has in any month is counted in all of its months.
WITH dated AS (
    SELECT
        study_scanner.month,
        study_scanner.scanner,
        CASE study_scanner.status
            WHEN 'failed' THEN 'failed'
            WHEN 'excluded' THEN 'excluded: ' || study_scanner.reason
        END AS metric,
        study_scanner.measured,
        study_bmd.band = 'likely' AS likely
    FROM study_scanner
    LEFT JOIN study_bmd USING (study_instance_uid, checkpoint_sha256)
    WHERE study_scanner.month IS NOT NULL
),
everything AS (
    SELECT month, scanner, count(*) AS n FROM dated GROUP BY ALL
),
seen AS (
    SELECT DISTINCT scanner, metric FROM dated WHERE metric IS NOT NULL
),
counted AS (
    SELECT month, scanner, metric, count(*) AS holds FROM dated WHERE metric IS NOT NULL GROUP BY ALL
)
SELECT everything.month, everything.scanner, seen.metric, coalesce(counted.holds, 0) AS holds, everything.n
FROM everything
JOIN seen USING (scanner)
LEFT JOIN counted USING (month, scanner, metric)
UNION ALL
SELECT month, scanner, 'flag_rate', count(*) FILTER (likely), count(*) FROM dated WHERE measured GROUP BY ALL
ORDER BY ALL;
