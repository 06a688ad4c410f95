-- What did each scanner read in each month, and does it still read the same?
-- Means of measured studies: soft tissue and air less what the tube voltage explains; L1 and BMD_CNN less what voltage,
-- contrast, sex and age in decades explain; both set back to the level of all studies. Counts are of all studies.
CREATE OR REPLACE VIEW scanner_month AS
WITH read AS (
    SELECT
        study_scanner.*,
        study_bmd.bmd_cnn,
        study_bmd.band = 'likely' AS likely,
        vertebra.attenuation_hu AS l1_hu,
        (study_scanner.fat_hu + study_scanner.muscle_hu) / 2 AS soft_tissue_hu,
        round(study_scanner.kvp_kv) AS voltage,
        concat_ws(
            '|', round(study_scanner.kvp_kv), study_bmd.contrast_enhanced, study.sex, floor(study.age_years / 10)
        ) AS kind
    FROM study_scanner
    JOIN study USING (study_instance_uid)
    LEFT JOIN study_bmd USING (study_instance_uid, checkpoint_sha256)
    LEFT JOIN vertebra
        ON vertebra.study_instance_uid = study_scanner.study_instance_uid
        AND vertebra.checkpoint_sha256 = study_scanner.checkpoint_sha256
        AND vertebra.level = 'L1' AND vertebra.used
    WHERE study_scanner.month IS NOT NULL
),
adjusted AS (
    SELECT
        month,
        scanner,
        status,
        measured,
        likely,
        air_hu - avg(air_hu) OVER by_voltage + avg(air_hu) OVER everybody AS air_hu,
        fat_hu - avg(fat_hu) OVER by_voltage + avg(fat_hu) OVER everybody AS fat_hu,
        muscle_hu - avg(muscle_hu) OVER by_voltage + avg(muscle_hu) OVER everybody AS muscle_hu,
        soft_tissue_hu - avg(soft_tissue_hu) OVER by_voltage + avg(soft_tissue_hu) OVER everybody AS soft_tissue_hu,
        l1_hu - avg(l1_hu) OVER by_kind + avg(l1_hu) OVER everybody AS l1_hu,
        bmd_cnn - avg(bmd_cnn) OVER by_kind + avg(bmd_cnn) OVER everybody AS bmd_cnn
    FROM read
    WINDOW
        by_voltage AS (PARTITION BY measured, voltage),
        by_kind AS (PARTITION BY measured, kind),
        everybody AS (PARTITION BY measured)
)
SELECT
    month,
    scanner,
    count(*) AS study_count,
    count(*) FILTER (status = 'measured') AS measured_count,
    count(*) FILTER (status = 'excluded') AS excluded_count,
    count(*) FILTER (status = 'failed') AS failed_count,
    count(*) FILTER (measured AND likely) AS likely_count,
    avg(air_hu) FILTER (measured) AS air_hu,
    stddev_samp(air_hu) FILTER (measured) AS air_hu_sd,
    count(air_hu) FILTER (measured) AS air_hu_count,
    avg(fat_hu) FILTER (measured) AS fat_hu,
    stddev_samp(fat_hu) FILTER (measured) AS fat_hu_sd,
    count(fat_hu) FILTER (measured) AS fat_hu_count,
    avg(muscle_hu) FILTER (measured) AS muscle_hu,
    stddev_samp(muscle_hu) FILTER (measured) AS muscle_hu_sd,
    count(muscle_hu) FILTER (measured) AS muscle_hu_count,
    avg(soft_tissue_hu) FILTER (measured) AS soft_tissue_hu,
    stddev_samp(soft_tissue_hu) FILTER (measured) AS soft_tissue_hu_sd,
    count(soft_tissue_hu) FILTER (measured) AS soft_tissue_hu_count,
    avg(l1_hu) FILTER (measured) AS l1_hu,
    stddev_samp(l1_hu) FILTER (measured) AS l1_hu_sd,
    count(l1_hu) FILTER (measured) AS l1_hu_count,
    avg(bmd_cnn) FILTER (measured) AS bmd_cnn,
    stddev_samp(bmd_cnn) FILTER (measured) AS bmd_cnn_sd,
    count(bmd_cnn) FILTER (measured) AS bmd_cnn_count
FROM adjusted
GROUP BY month, scanner
ORDER BY month, scanner;
COMMENT ON COLUMN scanner_month.month IS 'First day of the month of the CT.';
COMMENT ON COLUMN scanner_month.scanner IS 'Manufacturer / model / station / institution, as in the view study_scanner.';
COMMENT ON COLUMN scanner_month.study_count IS 'Studies of the scanner with a result, count.';
COMMENT ON COLUMN scanner_month.measured_count IS 'Of them measured, count.';
COMMENT ON COLUMN scanner_month.excluded_count IS 'Of them excluded with a reason, count.';
COMMENT ON COLUMN scanner_month.failed_count IS 'Of them failed, count.';
COMMENT ON COLUMN scanner_month.likely_count IS 'Measured studies in the band likely osteoporosis, count.';
COMMENT ON COLUMN scanner_month.air_hu IS 'Mean attenuation of air around the patient, adjusted for tube voltage, HU.';
COMMENT ON COLUMN scanner_month.air_hu_sd IS 'Standard deviation of air_hu over studies, HU.';
COMMENT ON COLUMN scanner_month.air_hu_count IS 'Studies in which air was read, count.';
COMMENT ON COLUMN scanner_month.fat_hu IS 'Mean attenuation of subcutaneous fat, adjusted for tube voltage, HU.';
COMMENT ON COLUMN scanner_month.fat_hu_sd IS 'Standard deviation of fat_hu over studies, HU.';
COMMENT ON COLUMN scanner_month.fat_hu_count IS 'Studies in which fat was read, count.';
COMMENT ON COLUMN scanner_month.muscle_hu IS 'Mean attenuation of paraspinal muscle, adjusted for tube voltage, HU.';
COMMENT ON COLUMN scanner_month.muscle_hu_sd IS 'Standard deviation of muscle_hu over studies, HU.';
COMMENT ON COLUMN scanner_month.muscle_hu_count IS 'Studies in which muscle was read, count.';
COMMENT ON COLUMN scanner_month.soft_tissue_hu IS 'Mean of fat_hu and muscle_hu of each study: steadier than either where the whole scale shifts, HU.';
COMMENT ON COLUMN scanner_month.soft_tissue_hu_sd IS 'Standard deviation of soft_tissue_hu over studies, HU.';
COMMENT ON COLUMN scanner_month.soft_tissue_hu_count IS 'Studies in which both were read, count.';
COMMENT ON COLUMN scanner_month.l1_hu IS 'Mean trabecular attenuation of L1, adjusted for tube voltage, contrast, sex and age, HU.';
COMMENT ON COLUMN scanner_month.l1_hu_sd IS 'Standard deviation of l1_hu over studies, HU.';
COMMENT ON COLUMN scanner_month.l1_hu_count IS 'Studies in which L1 was used, count.';
COMMENT ON COLUMN scanner_month.bmd_cnn IS 'Mean BMD_CNN, adjusted for tube voltage, contrast, sex and age, g/cm2. Not a DXA.';
COMMENT ON COLUMN scanner_month.bmd_cnn_sd IS 'Standard deviation of bmd_cnn over studies, g/cm2.';
COMMENT ON COLUMN scanner_month.bmd_cnn_count IS 'Studies with a BMD_CNN, count.';
