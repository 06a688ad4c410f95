-- Who came onto the list since an earlier publication, who left it, and why?
-- Table handed in: flagged_before. Of a patient who left, the first criterion of care_gap that does not hold now; where
-- that is the decision of a reviewer, its state. Parameter: publication_id_before.
WITH gap AS MATERIALIZED (
    SELECT * FROM care_gap_among('likely')
),
changed AS (
    SELECT 'came' AS change, gap.patient_id, gap.study_instance_uid, NULL AS why
    FROM gap
    WHERE gap.flagged AND gap.patient_id NOT IN (SELECT patient_id FROM flagged_before)
    UNION ALL
    SELECT
        'left' AS change,
        flagged_before.patient_id,
        flagged_before.study_instance_uid,
        CASE
            WHEN NOT coalesce(gap.likely_osteoporosis, false) THEN 'likely_osteoporosis'
            WHEN NOT gap.identified THEN 'identified'
            WHEN NOT coalesce(gap.old_enough, false) THEN 'old_enough'
            WHEN NOT gap.no_dxa_in_look_back THEN 'no_dxa_in_look_back'
            WHEN NOT gap.no_dxa_since_ct THEN 'no_dxa_since_ct'
            WHEN NOT gap.alive THEN 'alive'
            WHEN NOT gap.no_known_osteoporosis THEN 'no_known_osteoporosis'
            WHEN NOT gap.not_treated THEN 'not_treated'
            WHEN NOT gap.not_opted_out THEN 'not_opted_out'
            ELSE gap.state
        END AS why
    FROM flagged_before
    LEFT JOIN gap USING (patient_id)
    WHERE NOT coalesce(gap.flagged, false)
)
SELECT
    changed.change,
    changed.patient_id,
    study.study_date,
    study_bmd.t_score,
    100 * study_bmd.osteoporosis_probability AS osteoporosis_probability_percent,
    changed.why,
    NOT EXISTS (
        FROM flag_event
        WHERE flag_event.patient_id = changed.patient_id AND flag_event.publication_id <= $publication_id_before
    ) AS first_time,
    '/patient?study=' || study.study_key AS patient_page
FROM changed
LEFT JOIN study USING (study_instance_uid)
LEFT JOIN (
    SELECT study_bmd.* FROM study_bmd JOIN model USING (checkpoint_sha256) WHERE model.active
) AS study_bmd USING (study_instance_uid)
ORDER BY changed.change, study_bmd.osteoporosis_probability DESC NULLS LAST, changed.patient_id;
