-- Which measured studies have a DXA near enough to learn from, on whose scale, and do their files stand as they were read?
-- One row a patient and manufacturer: the nearest areal BMD of L1-L4. A patient whose near DXA all lack it has one row,
-- without bmd_dxa and manufacturer. An empty manufacturer is 'unknown'; names differing in case or spaces alone are one.
-- Parameter: within_days.
WITH near AS (
    SELECT
        study_bmd.patient_id,
        study_bmd.study_instance_uid,
        study_bmd.checkpoint_sha256,
        study_bmd.contrast_enhanced,
        study.fingerprint AS fingerprint_read,
        abs(date_diff('day', study.study_date, dxa.dxa_date)) AS days,
        dxa.dxa_date,
        dxa.region = 'L1-L4' AND dxa.bmd_dxa IS NOT NULL AS of_l1_l4,
        CASE WHEN of_l1_l4 THEN dxa.bmd_dxa END AS bmd_dxa,
        CASE
            WHEN of_l1_l4 THEN coalesce(nullif(trim(regexp_replace(dxa.manufacturer, '\s+', ' ', 'g')), ''), 'unknown')
        END AS spelling
    FROM study_bmd
    JOIN study USING (study_instance_uid)
    JOIN model USING (checkpoint_sha256)
    JOIN dxa ON dxa.patient_id = study_bmd.patient_id
    WHERE model.active AND days <= $within_days
),
named AS (
    SELECT *, min(spelling) OVER (PARTITION BY lower(spelling)) AS manufacturer FROM near
),
nearest AS (
    SELECT *
    FROM named
    QUALIFY row_number() OVER (
        PARTITION BY patient_id, manufacturer ORDER BY days, study_instance_uid, dxa_date, spelling
    ) = 1
)
SELECT
    nearest.study_instance_uid,
    nearest.checkpoint_sha256,
    nearest.patient_id,
    nearest.manufacturer,
    nearest.bmd_dxa,
    person.identity_conflict,
    nearest.contrast_enhanced,
    nearest.fingerprint_read,
    (
        SELECT list(series_index.fingerprint)
        FROM series_index
        WHERE series_index.present AND series_index.study_instance_uid = nearest.study_instance_uid
    ) AS fingerprints_present
FROM nearest
JOIN person USING (patient_id)
QUALIFY nearest.of_l1_l4 OR NOT bool_or(nearest.of_l1_l4) OVER (PARTITION BY nearest.patient_id)
ORDER BY nearest.study_instance_uid, nearest.manufacturer;
