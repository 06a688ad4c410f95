-- What should a clinician look at, in which order, and what was decided already?
-- Everybody in the care gap with what a reader needs beside the number: months since the CT, DXA or its absence,
-- warnings, and where the patient stands by the newest decision of a reviewer about this CT. Those that wait for a
-- decision come first; they are the patients of the view flagged.
CREATE OR REPLACE VIEW worklist AS
SELECT
    row_number() OVER (
        ORDER BY
            gap.open DESC, study_bmd.osteoporosis_probability DESC, gap.age_years DESC, gap.patient_id
    ) AS position,
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
    gap.last_dxa_date,
    gap.state,
    gap.open,
    gap.defer_until,
    gap.last_event_id,
    gap.reviewer,
    gap.reviewed_at,
    date_sub('month', gap.study_date, gap.as_of_date) AS months_since_ct,
    study.study_key,
    study.accession_number,
    study.institution_name
FROM care_gap_among('likely') AS gap
JOIN study_bmd USING (study_instance_uid)
JOIN model USING (checkpoint_sha256)
JOIN study USING (study_instance_uid)
WHERE gap.in_gap AND model.active AND study_bmd.band = 'likely'
ORDER BY position;
COMMENT ON COLUMN worklist.position IS 'Place in the list, from 1: waiting for a decision, then most probable, then oldest first.';
COMMENT ON COLUMN worklist.last_dxa_date IS 'Date of the newest central DXA on record; NULL when there is none.';
COMMENT ON COLUMN worklist.state IS 'open (nothing decided, or the day it was deferred to has come), reopened, deferred, dxa_ordered, known, not_evaluable or dismissed, by the newest decision about this CT.';
COMMENT ON COLUMN worklist.open IS 'Whether the patient waits for a decision: state open or reopened; these are the flagged.';
COMMENT ON COLUMN worklist.defer_until IS 'First day on which a deferred patient is open again; NULL where not deferred.';
COMMENT ON COLUMN worklist.last_event_id IS 'The newest decision about this CT (review_event.event_id); NULL where there is none.';
COMMENT ON COLUMN worklist.reviewer IS 'Who made it.';
COMMENT ON COLUMN worklist.reviewed_at IS 'When it was made, UTC.';
COMMENT ON COLUMN worklist.months_since_ct IS 'Full months from the CT to publication.as_of_date.';
COMMENT ON COLUMN worklist.bmd_cnn IS 'Areal BMD estimated by BMD_CNN: mean of the usable levels L1 to L4, g/cm2. Not a DXA.';
COMMENT ON COLUMN worklist.attenuation_hu IS 'Mean trabecular attenuation of the used levels, HU as acquired: the transparent comparator.';
COMMENT ON COLUMN worklist.checkpoint_sha256 IS 'SHA-256 of the checkpoint that estimated bmd_cnn, see table model.';
COMMENT ON COLUMN worklist.identified IS 'PatientID is known and its studies agree on who it is: true of everybody here.';
COMMENT ON COLUMN worklist.sex IS 'PatientSex (0010,0040) of the newest study that states it.';
COMMENT ON COLUMN worklist.birth_date IS 'PatientBirthDate (0010,0030) of the newest study that states it.';
COMMENT ON COLUMN worklist.identity_conflict IS 'Studies under this PatientID disagree in sex, birth date or issuer.';
