-- Why is the patient (not) on the worklist?
-- The row of care_gap with every criterion it has. Parameter: patient_id.
SELECT * FROM care_gap WHERE patient_id = $patient_id;
