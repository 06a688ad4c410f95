-- Which patients of the archive match, flagged or not?
-- A part of the patient ID or a whole accession number; the exact patient ID first. Parameter: search.
SELECT
    patient.patient_id,
    CASE
        WHEN care_gap.flagged THEN 'flagged'
        WHEN care_gap.patient_id IS NOT NULL THEN 'not flagged'
        ELSE 'no BMD_CNN'
    END AS standing,
    count(*) OVER () AS match_count
FROM patient
LEFT JOIN care_gap USING (patient_id)
WHERE contains(lower(patient.patient_id), lower($search))
    OR patient.patient_id IN (SELECT study.patient_id FROM study WHERE study.accession_number = $search)
ORDER BY patient.patient_id = $search DESC, patient.patient_id
LIMIT 50;
