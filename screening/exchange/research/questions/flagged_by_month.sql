-- How many patients come onto the list each month, and what was decided about them?
SELECT
    flag_event.flagged_month,
    count(*) AS flagged_count,
    count(*) FILTER (review_event.action = 'order_dxa') AS dxa_ordered_count,
    count(*) FILTER (review_event.action IN ('already_known', 'not_evaluable', 'dismiss')) AS closed_count,
    flagged_count - dxa_ordered_count - closed_count AS waiting_count
FROM flag_event
LEFT JOIN review_event ON review_event.study_key = flag_event.study_key AND review_event.newest
GROUP BY flag_event.flagged_month
ORDER BY flag_event.flagged_month;
