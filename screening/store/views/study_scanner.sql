-- Which scanner made each study, and how did reading it end?
-- One row a study with a result of the active checkpoint. The series that was measured says which scanner, else the
-- largest CT series. A scanner is manufacturer, model, station and institution, as far as the headers tell.
CREATE OR REPLACE VIEW study_scanner AS
WITH named AS (
    SELECT
        series.*,
        coalesce(nullif(concat_ws(
            ' / ', nullif(trim(manufacturer), ''), nullif(trim(manufacturer_model_name), ''), nullif(trim(station_name), '')
        ), ''), 'unknown') AS machine
    FROM series
    WHERE modality = 'CT'
    QUALIFY row_number() OVER (
        PARTITION BY study_instance_uid
        ORDER BY chosen DESC, instance_count DESC, series_instance_uid, acquisition
    ) = 1
)
SELECT
    outcome.study_instance_uid,
    outcome.checkpoint_sha256,
    outcome.status,
    outcome.reason,
    study.study_date,
    date_trunc('month', study.study_date)::DATE AS month,
    concat_ws(' / ', coalesce(named.machine, 'unknown'), nullif(trim(study.institution_name), '')) AS scanner,
    named.chosen AND outcome.status = 'measured' AS measured,
    named.kvp_kv,
    named.air_hu,
    named.fat_hu,
    named.muscle_hu
FROM outcome
JOIN model USING (checkpoint_sha256)
JOIN study USING (study_instance_uid)
LEFT JOIN named USING (study_instance_uid)
WHERE model.active AND (named.study_instance_uid IS NOT NULL OR outcome.status = 'failed');
COMMENT ON COLUMN study_scanner.month IS 'First day of the month of the CT; NULL where StudyDate is missing.';
COMMENT ON COLUMN study_scanner.scanner IS 'Manufacturer / model / station / institution, as far as the headers tell; unknown where they tell nothing.';
COMMENT ON COLUMN study_scanner.measured IS 'Whether this scanner made the series that was measured.';
COMMENT ON COLUMN study_scanner.checkpoint_sha256 IS 'SHA-256 of the checkpoint that read it, see table model.';
COMMENT ON COLUMN study_scanner.reason IS 'Why it was not measured: screening.errors.Exclusion, or the exception type; NULL when measured.';
