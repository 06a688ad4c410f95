-- Which studies of the patient have no BMD_CNN, and why?
-- Excluded, failed, or not yet read by the active checkpoint; newest first. Parameter: patient_id.
WITH active_outcome AS (
    SELECT outcome.* FROM outcome JOIN model USING (checkpoint_sha256) WHERE model.active
)
SELECT
    study.study_date,
    coalesce(active_outcome.status, 'not read yet') AS status,
    active_outcome.reason,
    active_outcome.detail,
    active_outcome.stage,
    nullif(study.study_description, '') AS study_description,
    nullif(study.accession_number, '') AS accession_number,
    study.study_instance_uid
FROM study
LEFT JOIN active_outcome USING (study_instance_uid)
WHERE study.patient_id = $patient_id AND active_outcome.status IS DISTINCT FROM 'measured'
ORDER BY study.study_date DESC NULLS LAST, study.study_instance_uid;
