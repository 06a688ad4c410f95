-- Refused records that are checked again, from the Arrow table `kept`.
INSERT INTO read_again
SELECT DISTINCT record_digest
FROM kept;
