-- Which files of the archives are not part of any series, and why?
-- Counts by reason, as of the last look.
SELECT
    reason,
    count(*) AS file_count,
    sum(size_bytes) / 1e6 AS size_mb,
    min(found_at) AS first_found_at,
    max(found_at) AS last_found_at
FROM file_problem
GROUP BY reason
ORDER BY file_count DESC, reason;
