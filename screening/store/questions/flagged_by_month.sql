-- How many patients come onto the list each month, and what was decided about them?
WITH newest_review AS (
    SELECT study_instance_uid, action
    FROM review_event
    QUALIFY row_number() OVER (PARTITION BY study_instance_uid ORDER BY event_id DESC) = 1
)
SELECT
    date_trunc('month', flag_event.flagged_on)::DATE AS flagged_month,
    count(*) AS flagged_count,
    count(*) FILTER (newest_review.action = 'order_dxa') AS dxa_ordered_count,
    count(*) FILTER (newest_review.action IN ('already_known', 'not_evaluable', 'dismiss')) AS closed_count,
    flagged_count - dxa_ordered_count - closed_count AS waiting_count
FROM flag_event
LEFT JOIN newest_review USING (study_instance_uid)
GROUP BY flagged_month
ORDER BY flagged_month;
