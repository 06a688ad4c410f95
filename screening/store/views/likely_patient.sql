-- Who may be on the list at all?
-- Patients of whom any study was ever likely under the active checkpoint; the list asks of these alone, which keeps it
-- quick where few of a million patients are.
CREATE OR REPLACE VIEW likely_patient AS
SELECT DISTINCT study_bmd.patient_id
FROM study_bmd
JOIN model USING (checkpoint_sha256)
WHERE model.active AND study_bmd.band = 'likely';
