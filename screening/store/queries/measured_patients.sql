-- How many patients have a result of the active checkpoint?
SELECT count(DISTINCT study_bmd.patient_id)
FROM study_bmd
JOIN model USING (checkpoint_sha256)
WHERE model.active;
