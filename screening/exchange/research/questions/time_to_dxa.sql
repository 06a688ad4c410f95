-- How many have a DXA after the flag, and how many within 12 weeks?
-- By year of the flag; a year that is not over has not had its time. Who had a DXA before the flag, on record only
-- later, is in no count of those within 12 weeks.
SELECT
    year(flagged_month) AS flagged_in,
    count(*) AS flagged_count,
    count(next_dxa_month) AS dxa_count,
    count(*) FILTER (dxa_within_12_weeks) AS within_12_weeks_count,
    median(date_diff('month', flagged_month, next_dxa_month)) AS median_months_to_dxa
FROM flag_event
GROUP BY flagged_in
ORDER BY flagged_in;
