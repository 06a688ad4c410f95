-- In which bands was each patient ever read?
-- Under the active checkpoint. A list asks of the patients of its band alone, which keeps it quick where they are few of
-- a million.
DROP VIEW IF EXISTS likely_patient;  -- what took this place before
CREATE OR REPLACE VIEW banded_patient AS
SELECT DISTINCT study_bmd.patient_id, study_bmd.band
FROM study_bmd
JOIN model USING (checkpoint_sha256)
WHERE model.active;
