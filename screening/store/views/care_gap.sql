-- Why is this patient (not) on the list?
-- One boolean column a criterion of the care gap; `flagged` is their conjunction. A central DXA is one of spine, hip
-- or femoral neck. NULL means that the fact is not known; an unknown age never flags.
CREATE OR REPLACE VIEW care_gap AS
WITH latest AS (
    SELECT * FROM publication ORDER BY publication_id DESC LIMIT 1
),
central_dxa AS (
    SELECT patient_id, max(dxa_date) AS last_dxa_date FROM dxa GROUP BY patient_id
)
SELECT
    patient_bmd.patient_id,
    patient_bmd.study_instance_uid,
    central_dxa.last_dxa_date,
    patient_bmd.band = 'likely' AS likely_osteoporosis,
    patient_bmd.identified AND NOT patient_bmd.identity_conflict AS identified,
    patient_bmd.age_years >= latest.minimum_age_years AS old_enough,
    coalesce(
        central_dxa.last_dxa_date < latest.as_of_date - to_months(latest.look_back_months), true
    ) AS no_dxa_in_look_back,
    coalesce(central_dxa.last_dxa_date < patient_bmd.study_date, central_dxa.last_dxa_date IS NULL)
        AS no_dxa_since_ct,
    coalesce(
        likely_osteoporosis
        AND patient_bmd.identified
        AND NOT patient_bmd.identity_conflict
        AND old_enough
        AND no_dxa_in_look_back
        AND no_dxa_since_ct,
        false
    ) AS flagged
FROM patient_bmd
CROSS JOIN latest
LEFT JOIN central_dxa USING (patient_id);
COMMENT ON COLUMN care_gap.last_dxa_date IS 'Date of the newest central DXA (spine, hip, femoral neck) on record; NULL when there is none.';
COMMENT ON COLUMN care_gap.likely_osteoporosis IS 'Criterion: the band of the newest BMD_CNN is likely.';
COMMENT ON COLUMN care_gap.old_enough IS 'Criterion: age at CT at least publication.minimum_age_years; NULL when the age is not known.';
COMMENT ON COLUMN care_gap.no_dxa_in_look_back IS 'Criterion: no central DXA within publication.look_back_months before publication.as_of_date.';
COMMENT ON COLUMN care_gap.no_dxa_since_ct IS 'Criterion: no central DXA on or after the date of the CT.';
COMMENT ON COLUMN care_gap.flagged IS 'All criteria hold: likely osteoporosis, a known patient of the age to flag, and no DXA. Not flagged does not mean normal.';
COMMENT ON COLUMN care_gap.identified IS 'Criterion: PatientID is known and its studies agree on who it is; else no DXA can be matched.';
