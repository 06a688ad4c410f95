-- What was measured in each study?
-- Every study that the active checkpoint measured, with its date and the patient's age; one row a study, while
-- patient_bmd has one a patient.
CREATE OR REPLACE VIEW measured_study AS
SELECT
    study_bmd.patient_id,
    study_bmd.study_instance_uid,
    study.study_date,
    study.age_years,
    study_bmd.* EXCLUDE (patient_id, study_instance_uid, checkpoint_sha256),
    study_bmd.checkpoint_sha256,
    model.data_kind
FROM study_bmd
JOIN study USING (study_instance_uid)
JOIN model USING (checkpoint_sha256)
WHERE model.active;
COMMENT ON COLUMN measured_study.bmd_cnn IS 'Areal BMD estimated by BMD_CNN: mean of the usable levels L1 to L4, g/cm2. Not a DXA.';
COMMENT ON COLUMN measured_study.attenuation_hu IS 'Mean trabecular attenuation of the used levels, HU as acquired: the transparent comparator.';
COMMENT ON COLUMN measured_study.checkpoint_sha256 IS 'SHA-256 of the checkpoint that estimated bmd_cnn, see table model.';
