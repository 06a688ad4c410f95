-- What did a night find, and what became of it?
-- The two sides of its books, largest first within a side. Parameter: sweep_id.
SELECT unit, side, bucket, reason, item_count
FROM sweep_ledger
WHERE sweep_id = $sweep_id
ORDER BY unit, side DESC, item_count DESC, bucket, reason;
