-- Which patients of the list does the reader ask for?
-- Parameters: sexes, sites, states (VARCHAR[]; none means all; 'unknown' and 'not stated' stand for what is missing),
-- youngest_years, oldest_years, newest_months, oldest_months, search (part of a patient ID).
CREATE OR REPLACE TEMP TABLE worklist_asked AS
SELECT * REPLACE (coalesce(sex, 'unknown') AS sex, coalesce(institution_name, 'not stated') AS institution_name)
FROM worklist_now
WHERE (len($states) = 0 OR list_contains($states, state))
    AND (len($sexes) = 0 OR list_contains($sexes, coalesce(sex, 'unknown')))
    AND (len($sites) = 0 OR list_contains($sites, coalesce(institution_name, 'not stated')))
    AND coalesce(age_years BETWEEN $youngest_years AND $oldest_years, true)
    AND coalesce(months_since_ct BETWEEN $newest_months AND $oldest_months, true)
    AND contains(lower(patient_id), lower($search));
