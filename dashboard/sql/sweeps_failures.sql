-- Which studies failed in a night and have not been read again since, and where did each break?
-- Parameter: sweep_id.
SELECT
    study.study_date,
    nullif(study.study_description, '') AS study_description,
    nullif(study.accession_number, '') AS accession_number,
    '/patient?study=' || study.study_key AS patient_page,
    outcome.stage,
    outcome.reason,
    nullif(outcome.detail, '') AS detail,
    outcome.read_at,
    outcome.study_instance_uid
FROM outcome
LEFT JOIN study USING (study_instance_uid)
WHERE outcome.sweep_id = $sweep_id AND outcome.status = 'failed'
ORDER BY outcome.stage, outcome.reason, study.study_date DESC NULLS LAST, outcome.study_instance_uid;
