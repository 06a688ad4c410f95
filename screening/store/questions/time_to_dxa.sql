-- How long does it take from the flag to a DXA?
-- By year of the flag; the quartiles are of those who had one, and a year that is not over has not had its time.
WITH followed AS (
    SELECT flag_event.patient_id, flag_event.flagged_on, min(dxa.dxa_date) AS next_dxa_date
    FROM flag_event
    LEFT JOIN dxa ON dxa.patient_id = flag_event.patient_id AND dxa.dxa_date >= flag_event.flagged_on
    GROUP BY ALL
)
SELECT
    year(flagged_on) AS flagged_in,
    count(*) AS flagged_count,
    count(next_dxa_date) AS dxa_count,
    quantile_cont(next_dxa_date - flagged_on, [0.25, 0.5, 0.75]) AS days_to_dxa_quartiles
FROM followed
GROUP BY flagged_in
ORDER BY flagged_in;
