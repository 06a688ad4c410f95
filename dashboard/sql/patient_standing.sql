-- Why is the patient (not) on the worklist, and what was decided about the CT that the list judges?
-- Every criterion of care_gap, with the decisions of today laid over it. Table handed in: patient_event (all decisions
-- about the patient). Parameter: patient_id.
WITH gap AS (
    SELECT * FROM care_gap_among(NULL) WHERE patient_id = $patient_id
),
decision AS (
    SELECT patient_event.*
    FROM patient_event
    JOIN gap USING (study_instance_uid)
    ORDER BY patient_event.event_id DESC
    LIMIT 1
),
stood AS (
    SELECT
        gap.* EXCLUDE (state, open, flagged, last_event_id, reviewer, reviewed_at, defer_until),
        review_state(decision.action, decision.defer_until, gap.as_of_date) AS state,
        decision.event_id AS last_event_id,
        decision.defer_until
    FROM gap
    LEFT JOIN decision ON true
)
SELECT
    study_instance_uid,
    last_dxa_date,
    likely_osteoporosis,
    identified,
    old_enough,
    no_dxa_in_look_back,
    no_dxa_since_ct,
    alive,
    no_known_osteoporosis,
    not_treated,
    not_opted_out,
    state IN ('open', 'reopened') AS open,
    in_gap AND state IN ('open', 'reopened') AS flagged,
    band,
    without_dxa_or_diagnosis AND band IN ('likely', 'indeterminate') AS listed,
    state,
    defer_until,
    last_event_id,
    date_sub('month', study_date, as_of_date)::INTEGER AS months_since_ct
FROM stood;
