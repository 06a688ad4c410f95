-- What the import tells that was not known, and the results it speaks of.
-- Of records that say the same one is taken; only such are compared, the others pass as they are.
CREATE OR REPLACE TEMP TABLE repeated AS
SELECT record_digest FROM incoming GROUP BY record_digest HAVING count(*) > 1;

CREATE OR REPLACE TEMP TABLE fresh AS
WITH unknown AS (
    SELECT * FROM incoming ANTI JOIN dxa_record USING (record_digest)
)
SELECT * FROM unknown ANTI JOIN repeated USING (record_digest)
UNION ALL
SELECT DISTINCT ON (record_digest) * FROM unknown SEMI JOIN repeated USING (record_digest);

-- Known records that now belong to another patient, or whose maker goes by another name.
CREATE OR REPLACE TEMP TABLE moved AS
SELECT DISTINCT ON (record_digest)
    record_digest,
    incoming.patient_id,
    incoming.manufacturer,
    dxa_record.patient_id AS earlier_patient_id,
    dxa_record.manufacturer AS earlier_manufacturer,
    dxa_record.dxa_date,
    dxa_record.region,
    dxa_record.status
FROM incoming
JOIN dxa_record USING (record_digest)
WHERE incoming.patient_id <> dxa_record.patient_id OR incoming.manufacturer <> dxa_record.manufacturer;

-- Results with more than one record, or whose only record moved. Most results have one record, and are it: they are told
-- by a hash of the key alone, so that few of them come here for nothing.
CREATE OR REPLACE TEMP TABLE crowded AS
SELECT key_hash FROM fresh GROUP BY key_hash HAVING count(*) > 1
UNION
SELECT hash(patient_id, dxa_date, region, manufacturer)
FROM dxa_record
SEMI JOIN fresh USING (patient_id, dxa_date, region, manufacturer)
UNION
SELECT hash(patient_id, dxa_date, region, manufacturer) FROM moved
UNION
SELECT hash(earlier_patient_id, dxa_date, region, earlier_manufacturer) FROM moved;
