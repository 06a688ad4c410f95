-- By which study key is a patient named in an address?
-- The one of the newest study. Parameter: patient_id.
SELECT study_key FROM study WHERE patient_id = $patient_id ORDER BY study_date DESC NULLS LAST, study_key LIMIT 1;
