-- How large is the care gap with a look-back of 24, 36 or 60 months?
-- To the month: the day of a DXA stays with the site.
SELECT
    look_back_months,
    count(*) FILTER (coalesce(last_dxa_month < latest.as_of_date - to_months(look_back_months), true)) AS flagged_count
FROM care_gap
CROSS JOIN (VALUES (24), (36), (60)) AS look_back(look_back_months)
CROSS JOIN (SELECT as_of_date FROM publication ORDER BY publication_id DESC LIMIT 1) AS latest
WHERE likely_osteoporosis AND identified AND old_enough AND no_dxa_since_ct AND open
    AND coalesce(alive, true) AND coalesce(no_known_osteoporosis, true) AND coalesce(not_treated, true)
GROUP BY look_back_months
ORDER BY look_back_months;
