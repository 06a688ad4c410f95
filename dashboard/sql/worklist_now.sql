-- Where does everybody of the published list stand by the decisions made since?
-- Tables handed in: published_list, later_event (decisions newer than the publication). Those that wait for a decision
-- come first, then the most probable, then the oldest, as in the view worklist.
CREATE OR REPLACE TEMP VIEW worklist_now AS
WITH newest_event AS (
    SELECT *
    FROM later_event
    QUALIFY row_number() OVER (PARTITION BY patient_id, study_instance_uid ORDER BY event_id DESC) = 1
),
stood AS (
    SELECT
        published_list.* REPLACE (
            CASE
                WHEN newest_event.event_id IS NULL THEN published_list.state
                ELSE review_state(newest_event.action, newest_event.defer_until, published_list.as_of_date)
            END AS state,
            CASE
                WHEN newest_event.event_id IS NULL THEN published_list.defer_until
                ELSE newest_event.defer_until
            END AS defer_until,
            coalesce(newest_event.reviewer, published_list.reviewer) AS reviewer
        )
    FROM published_list
    LEFT JOIN newest_event USING (patient_id, study_instance_uid)
)
SELECT
    state IN ('open', 'reopened') AS open,
    row_number() OVER (
        ORDER BY open DESC, osteoporosis_probability DESC, exact_age_years DESC, patient_id
    ) AS position,
    row_number() OVER (ORDER BY osteoporosis_probability DESC, exact_age_years DESC, patient_id) AS rank,
    *
FROM stood;
