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
    patient_bmd.identified AS identified,
    patient_bmd.age_years >= latest.minimum_age_years AS old_enough,
    coalesce(
        central_dxa.last_dxa_date < latest.as_of_date - to_months(latest.look_back_months), true
    ) AS no_dxa_in_look_back,
    coalesce(central_dxa.last_dxa_date < patient_bmd.study_date, central_dxa.last_dxa_date IS NULL)
        AS no_dxa_since_ct,
    coalesce(
        likely_osteoporosis AND old_enough AND no_dxa_in_look_back AND no_dxa_since_ct, false
    ) AS flagged
FROM patient_bmd
CROSS JOIN latest
LEFT JOIN central_dxa USING (patient_id);
