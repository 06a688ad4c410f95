-- Which records were refused, where do they stand, and what do they say?
SELECT
    kind,
    reason,
    source_format,
    source_file,
    row_number,
    place,
    record,
    rejected_at
FROM rejected_record
WHERE $reason IS NULL OR reason = $reason
ORDER BY kind, source_file, row_number, place, record;
