-- What must a reader know about the publication before any list?
-- One row: the counts under the active checkpoint, the last sweep, and the limits the views were published with.
WITH latest AS (
    SELECT * FROM publication ORDER BY publication_id DESC LIMIT 1
),
last_sweep AS (
    SELECT * FROM sweep ORDER BY sweep_id DESC LIMIT 1
),
active_outcome AS (
    SELECT outcome.status FROM outcome JOIN model USING (checkpoint_sha256) WHERE model.active
)
SELECT
    (SELECT count(*) FROM patient) AS patient_count,
    (SELECT count(*) FROM study) AS study_count,
    (SELECT count(DISTINCT patient_id) FROM study_bmd JOIN model USING (checkpoint_sha256) WHERE model.active)
        AS measured_patient_count,
    (SELECT count(*) FROM active_outcome WHERE status = 'excluded') AS excluded_study_count,
    (SELECT count(*) FROM active_outcome WHERE status = 'failed') AS failed_study_count,
    (SELECT coalesce(ended_at, started_at) FROM last_sweep) AS last_sweep_at,
    (SELECT state FROM last_sweep) AS last_sweep_state,
    (SELECT published_at FROM latest) AS published_at,
    (SELECT as_of_date FROM latest) AS as_of_date,
    (SELECT look_back_months FROM latest) AS look_back_months,
    (SELECT minimum_age_years FROM latest) AS minimum_age_years,
    (SELECT coalesce(max(event_id), 0) FROM review_event) AS last_event_id,
    (SELECT coalesce(bool_or(data_kind = 'simulated'), false) FROM model WHERE active) AS simulated;
