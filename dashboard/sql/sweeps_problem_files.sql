-- Where do the files lie that are not part of any series?
-- Those last found first, so many at most. Parameters: reason, most.
SELECT path, nullif(detail, '') AS detail, size_bytes / 1e6 AS size_mb, found_at
FROM file_problem
WHERE reason = $reason
ORDER BY found_at DESC, path
LIMIT $most;
