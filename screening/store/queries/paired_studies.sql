-- Which measured studies have a DXA of L1-L4 near enough to learn from, and do their files stand as they were read?
-- Parameter: within_days.
SELECT
    ct_dxa_pair.study_instance_uid,
    ct_dxa_pair.patient_id,
    person.identity_conflict,
    study_bmd.contrast_enhanced,
    study.fingerprint AS fingerprint_read,
    (
        SELECT list(series_index.fingerprint)
        FROM series_index
        WHERE series_index.present AND series_index.study_instance_uid = ct_dxa_pair.study_instance_uid
    ) AS fingerprints_present
FROM ct_dxa_pair
JOIN person USING (patient_id)
JOIN study USING (study_instance_uid)
JOIN study_bmd USING (study_instance_uid, checkpoint_sha256)
WHERE abs(ct_dxa_pair.days_to_dxa) <= $within_days
ORDER BY ct_dxa_pair.study_instance_uid;
