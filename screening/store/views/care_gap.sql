-- Why is this patient (not) on the list?
-- One boolean column a criterion of the care gap; `flagged` is their conjunction. A central DXA is one of spine, hip
-- or femoral neck, and a report that one was done. NULL means that the fact is not known: an unknown age or identity
-- never flags; where no list of deaths, diagnoses, treatments or opt-outs was imported, that criterion is NULL for
-- everybody and keeps nobody off the list; whoever is not on an imported list is taken as not concerned.

-- Where the newest decision about a CT leaves it; no decision leaves it open.
CREATE OR REPLACE MACRO review_state(action, defer_until, as_of_date) AS
CASE
    WHEN action = 'order_dxa' THEN 'dxa_ordered'
    WHEN action = 'already_known' THEN 'known'
    WHEN action = 'not_evaluable' THEN 'not_evaluable'
    WHEN action = 'dismiss' THEN 'dismissed'
    WHEN defer_until > as_of_date THEN 'deferred'
    WHEN action = 'reopen' THEN 'reopened'
    ELSE 'open'
END;

CREATE OR REPLACE MACRO care_gap_among(of_band) AS TABLE
WITH latest AS (
    SELECT * FROM publication ORDER BY publication_id DESC LIMIT 1
),
central_dxa AS (
    SELECT patient_id, max(dxa_date) AS last_dxa_date FROM dxa GROUP BY patient_id
),
imported AS (
    SELECT
        count(*) FILTER (fact = 'death') > 0 AS deaths,
        count(*) FILTER (fact = 'diagnosis') > 0 AS diagnoses,
        count(*) FILTER (fact = 'treatment') > 0 AS treatments,
        count(*) FILTER (fact = 'opt_out') > 0 AS opt_outs
    FROM patient_context
),
known AS (
    SELECT
        patient_id,
        bool_or(fact = 'death') AS dead,
        bool_or(fact = 'diagnosis') AS diagnosed,
        bool_or(fact = 'treatment') AS treated,
        bool_or(fact = 'opt_out') AS opted_out
    FROM patient_context
    WHERE holds
    GROUP BY patient_id
),
newest_review AS (
    SELECT *
    FROM review_event
    QUALIFY row_number() OVER (PARTITION BY patient_id, study_instance_uid ORDER BY event_id DESC) = 1
),
judged AS (
    SELECT
        newest.patient_id,
        newest.study_instance_uid,
        newest.study_date,
        newest.age_years,
        stated.identity_conflict,
        stated.sex,
        stated.birth_date,
        central_dxa.last_dxa_date,
        latest.as_of_date,
        newest_review.event_id AS last_event_id,
        newest_review.reviewer,
        newest_review.made_at AS reviewed_at,
        newest_review.defer_until,
        review_state(newest_review.action, newest_review.defer_until, latest.as_of_date) AS state,
        newest.band,
        newest.band = 'likely' AS likely_osteoporosis,
        patient.identified AND NOT stated.identity_conflict AS identified,
        newest.age_years >= latest.minimum_age_years AS old_enough,
        coalesce(
            central_dxa.last_dxa_date < latest.as_of_date - to_months(latest.look_back_months), true
        ) AS no_dxa_in_look_back,
        coalesce(central_dxa.last_dxa_date < newest.study_date, central_dxa.last_dxa_date IS NULL)
            AS no_dxa_since_ct,
        CASE WHEN imported.deaths THEN NOT coalesce(known.dead, false) END AS alive,
        CASE WHEN imported.diagnoses THEN NOT coalesce(known.diagnosed, false) END AS no_known_osteoporosis,
        CASE WHEN imported.treatments THEN NOT coalesce(known.treated, false) END AS not_treated,
        CASE WHEN imported.opt_outs THEN NOT coalesce(known.opted_out, false) END AS not_opted_out,
        state IN ('open', 'reopened') AS open
    FROM newest_result(of_band) AS newest
    JOIN patient USING (patient_id)
    JOIN stated_identity(of_band) AS stated USING (patient_id)
    CROSS JOIN latest
    CROSS JOIN imported
    LEFT JOIN central_dxa USING (patient_id)
    LEFT JOIN known USING (patient_id)
    LEFT JOIN newest_review USING (patient_id, study_instance_uid)
)
SELECT
    *,
    identified
    AND coalesce(old_enough, false)
    AND no_dxa_in_look_back
    AND no_dxa_since_ct
    AND coalesce(alive, true)
    AND coalesce(no_known_osteoporosis, true)
    AND coalesce(not_treated, true)
    AND coalesce(not_opted_out, true) AS without_dxa_or_diagnosis,
    without_dxa_or_diagnosis AND likely_osteoporosis AS in_gap,
    in_gap AND open AS flagged
FROM judged;

CREATE OR REPLACE VIEW care_gap AS
SELECT
    patient_id,
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
    open,
    flagged
FROM care_gap_among(NULL);
COMMENT ON COLUMN care_gap.last_dxa_date IS 'Date of the newest central DXA (spine, hip, femoral neck) on record; NULL when there is none.';
COMMENT ON COLUMN care_gap.likely_osteoporosis IS 'Criterion: the band of the newest BMD_CNN is likely.';
COMMENT ON COLUMN care_gap.identified IS 'Criterion: PatientID is known and its studies agree on who it is; else no DXA can be matched.';
COMMENT ON COLUMN care_gap.old_enough IS 'Criterion: age at CT at least publication.minimum_age_years; NULL when the age is not known, which never flags.';
COMMENT ON COLUMN care_gap.no_dxa_in_look_back IS 'Criterion: no central DXA within publication.look_back_months before publication.as_of_date.';
COMMENT ON COLUMN care_gap.no_dxa_since_ct IS 'Criterion: no central DXA on or after the date of the CT; where that date is not known, none at all.';
COMMENT ON COLUMN care_gap.alive IS 'Criterion: not on record as dead (patient_context, death); NULL where no deaths were imported, which does not keep off the list.';
COMMENT ON COLUMN care_gap.no_known_osteoporosis IS 'Criterion: no diagnosis of osteoporosis on record (patient_context, diagnosis); NULL where no diagnoses were imported, which does not keep off the list.';
COMMENT ON COLUMN care_gap.not_treated IS 'Criterion: no treatment of osteoporosis on record (patient_context, treatment); NULL where no treatments were imported, which does not keep off the list.';
COMMENT ON COLUMN care_gap.not_opted_out IS 'Criterion: has not opted out of this audit (patient_context, opt_out); NULL where no opt-outs were imported, which does not keep off the list.';
COMMENT ON COLUMN care_gap.open IS 'Criterion: not closed by a reviewer: no decision about this CT, or it was reopened, or the day it was deferred to has come. A newer CT is open.';
COMMENT ON COLUMN care_gap.flagged IS 'All criteria hold or, where that is said, are not known. Not flagged does not mean normal.';
