-- How many records are refused, why, and how many of them have no accepted one in their place?
SELECT
    kind,
    reason,
    source_format,
    count(*) AS records,
    count(*) FILTER (record_digest IN (SELECT record_digest FROM open_reject)) AS open
FROM rejected_record
WHERE $reason IS NULL OR reason = $reason
GROUP BY ALL
ORDER BY records DESC, reason, source_format, kind;
