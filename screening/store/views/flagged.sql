-- Who is likely osteoporotic and has had no DXA?
-- Patients that meet every criterion of care_gap, most probable first, then oldest. A patient who is not here is
-- "not flagged", which does not mean normal.
CREATE OR REPLACE VIEW flagged AS
SELECT
    gap.patient_id,
    gap.identified,
    gap.identity_conflict,
    gap.sex,
    gap.birth_date,
    gap.study_instance_uid,
    gap.study_date,
    gap.age_years,
    study_bmd.* EXCLUDE (patient_id, study_instance_uid, checkpoint_sha256),
    study_bmd.checkpoint_sha256,
    model.data_kind,
    gap.last_dxa_date
FROM care_gap_among('likely') AS gap
JOIN study_bmd USING (study_instance_uid)
JOIN model USING (checkpoint_sha256)
WHERE gap.flagged AND model.active AND study_bmd.band = 'likely'
ORDER BY study_bmd.osteoporosis_probability DESC, gap.age_years DESC, gap.patient_id;
COMMENT ON COLUMN flagged.last_dxa_date IS 'Date of the newest central DXA on record; NULL when there is none.';
COMMENT ON COLUMN flagged.bmd_cnn IS 'Areal BMD estimated by BMD_CNN: mean of the usable levels L1 to L4, g/cm2. Not a DXA.';
COMMENT ON COLUMN flagged.attenuation_hu IS 'Mean trabecular attenuation of the used levels, HU as acquired: the transparent comparator.';
COMMENT ON COLUMN flagged.checkpoint_sha256 IS 'SHA-256 of the checkpoint that estimated bmd_cnn, see table model.';
COMMENT ON COLUMN flagged.identified IS 'PatientID is known and its studies agree on who it is: true of everybody here.';
COMMENT ON COLUMN flagged.sex IS 'PatientSex (0010,0040) of the newest study that states it.';
COMMENT ON COLUMN flagged.birth_date IS 'PatientBirthDate (0010,0030) of the newest study that states it.';
COMMENT ON COLUMN flagged.identity_conflict IS 'Studies under this PatientID disagree in sex, birth date or issuer.';
