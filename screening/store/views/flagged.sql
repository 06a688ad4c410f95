-- Who is likely osteoporotic and has had no DXA?
-- Patients that meet every criterion of care_gap, most probable first, then oldest. A patient who is not here is
-- "not flagged", which does not mean normal.
CREATE OR REPLACE VIEW flagged AS
SELECT patient_bmd.*, care_gap.last_dxa_date
FROM patient_bmd
JOIN care_gap USING (patient_id, study_instance_uid)
WHERE care_gap.flagged
ORDER BY patient_bmd.osteoporosis_probability DESC, patient_bmd.age_years DESC, patient_bmd.patient_id;
COMMENT ON COLUMN flagged.last_dxa_date IS 'Date of the newest central DXA on record; NULL when there is none.';
