-- How many of the list stand where, and within which limits do they lie?
-- One row; counts by state as a map.
WITH counted AS (
    SELECT state, count(*) AS patient_count FROM worklist_now GROUP BY state
)
SELECT
    (SELECT coalesce(map_from_entries(list((state, patient_count))), MAP {}) FROM counted) AS state_counts,
    count(*) FILTER (open) AS open_count,
    list(DISTINCT coalesce(institution_name, 'not stated') ORDER BY coalesce(institution_name, 'not stated')) AS sites,
    coalesce(min(age_years), 0) AS youngest_years,
    coalesce(max(age_years), 130) AS oldest_years,
    least(coalesce(min(months_since_ct), 0), 0) AS newest_months,
    coalesce(max(months_since_ct), 0) AS oldest_months
FROM worklist_now;
