-- Which refused records have no accepted one in their place?
-- A refused record is answered when a result of the same patient, day and region is on record, e.g. after a mended file
-- was imported. One that was taken back by its sender needs no answer.
CREATE OR REPLACE VIEW open_reject AS
SELECT rejected_record.*
FROM rejected_record
LEFT JOIN (SELECT DISTINCT patient_id, dxa_date, region, true AS answered FROM dxa) AS answer
    USING (patient_id, dxa_date, region)
WHERE answer.answered IS NULL AND rejected_record.reason <> 'withdrawn';
