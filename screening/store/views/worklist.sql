-- What should a clinician look at, in which order?
-- The flagged patients with what a reader needs beside the number: months since the CT, DXA or its absence, warnings.
CREATE OR REPLACE VIEW worklist AS
SELECT
    row_number() OVER (
        ORDER BY flagged.osteoporosis_probability DESC, flagged.age_years DESC, flagged.patient_id
    ) AS position,
    flagged.*,
    date_sub('month', flagged.study_date, latest.as_of_date) AS months_since_ct,
    study.study_key,
    study.accession_number,
    study.institution_name
FROM flagged
JOIN study USING (study_instance_uid)
CROSS JOIN (SELECT as_of_date FROM publication ORDER BY publication_id DESC LIMIT 1) AS latest
ORDER BY position;
COMMENT ON COLUMN worklist.position IS 'Place in the list, from 1: most probable first, then oldest.';
COMMENT ON COLUMN worklist.last_dxa_date IS 'Date of the newest central DXA on record; NULL when there is none.';
COMMENT ON COLUMN worklist.months_since_ct IS 'Full months from the CT to publication.as_of_date.';
COMMENT ON COLUMN worklist.bmd_cnn IS 'Areal BMD estimated by BMD_CNN: mean of the usable levels L1 to L4, g/cm2. Not a DXA.';
COMMENT ON COLUMN worklist.attenuation_hu IS 'Mean trabecular attenuation of the used levels, HU as acquired: the transparent comparator.';
COMMENT ON COLUMN worklist.checkpoint_sha256 IS 'SHA-256 of the checkpoint that estimated bmd_cnn, see table model.';
COMMENT ON COLUMN worklist.sex IS 'PatientSex (0010,0040) of the newest study that states it.';
COMMENT ON COLUMN worklist.birth_date IS 'PatientBirthDate (0010,0030) of the newest study that states it.';
COMMENT ON COLUMN worklist.identity_conflict IS 'Studies under this PatientID disagree in sex, birth date or issuer.';
