-- What is refused today, and why.
INSERT INTO rejected_record BY NAME
SELECT DISTINCT ON (record_digest) * FROM incoming_reject
ON CONFLICT DO UPDATE SET reason = excluded.reason;

-- A record that was read again and is refused no more leaves.
DELETE FROM rejected_record
WHERE record_digest IN (SELECT record_digest FROM read_again)
    AND record_digest NOT IN (SELECT record_digest FROM incoming_reject);
