-- Which refused records may be good today? One dated in the future does not become true by waiting.
SELECT source_format, source_file, row_number, record, record_digest
FROM rejected_record
WHERE kind = $kind
    AND reason NOT IN ('date_in_future', 'withdrawn')
    AND ($reason IS NULL OR reason = $reason)
    AND ($files IS NULL OR list_contains($files, source_file));
