-- What the site counts and watches as a whole. Groups by month, sex, age or scanner have 10 or more in them, or are left
-- out; counts of the whole site (sweep_summary, exclusion_flow, reject_count) can be of one study or record and tell no
-- more of it than why it stopped. What our views count is without those who have opted out; what a sweep, `screening
-- validate` or `screening drift` stored (sweep_summary, validation_run, validation_metric, drift_metric) was counted
-- over all who were read, and is left so.
CREATE TABLE research.publication (
    publication_id         INTEGER PRIMARY KEY,
    published_at           TIMESTAMP NOT NULL,
    as_of_date             DATE NOT NULL,
    look_back_months       INTEGER NOT NULL,
    minimum_age_years      INTEGER NOT NULL,
    validation_window_days INTEGER
);
COMMENT ON TABLE research.publication IS 'One row a publication; the newest one is the one that this database was made from.';
INSERT INTO research.publication BY NAME
SELECT publication_id, published_at, as_of_date, look_back_months, minimum_age_years, validation_window_days
FROM publication;

CREATE TABLE research.model (
    checkpoint_sha256      VARCHAR PRIMARY KEY,
    name                   VARCHAR NOT NULL,
    data_kind              VARCHAR NOT NULL,
    metrics                JSON NOT NULL,
    active                 BOOLEAN NOT NULL,
    registered_at          TIMESTAMP NOT NULL,
    reference              VARCHAR,
    parent_sha256          VARCHAR
);
COMMENT ON TABLE research.model IS 'Checkpoints that have read studies of this database.';
INSERT INTO research.model BY NAME
SELECT checkpoint_sha256, name, data_kind, metrics, active, registered_at, reference, parent_sha256 FROM model;

CREATE TABLE research.reference_population (
    reference              VARCHAR PRIMARY KEY,
    mean_g_cm2             DOUBLE NOT NULL,
    sd_g_cm2               DOUBLE NOT NULL,
    manufacturer           VARCHAR NOT NULL,
    levels                 VARCHAR NOT NULL,
    source                 VARCHAR NOT NULL,
    verified               BOOLEAN NOT NULL
);
COMMENT ON TABLE research.reference_population IS 'The reference populations that were known at the last sweep, of the software and of the site.';
INSERT INTO research.reference_population
SELECT reference, mean_g_cm2, sd_g_cm2, manufacturer, levels, source, verified FROM reference_population;

CREATE TABLE research.sweep_summary (
    sweep_id               INTEGER PRIMARY KEY,
    state                  VARCHAR NOT NULL,
    started_month          DATE NOT NULL,
    ended_month            DATE,
    study_found_count      BIGINT,
    study_read_count       BIGINT,
    measured_count         BIGINT,
    excluded_count         BIGINT,
    failed_count           BIGINT,
    software_version       VARCHAR NOT NULL
);
COMMENT ON TABLE research.sweep_summary IS 'One row a sweep: what was found, what was read, how it ended; of all studies, those of patients who have opted out included.';
COMMENT ON COLUMN research.sweep_summary.started_month IS 'First day of the month in which it started, UTC.';
COMMENT ON COLUMN research.sweep_summary.ended_month IS 'First day of the month in which it ended, UTC; NULL while running or after an interruption.';
INSERT INTO research.sweep_summary
SELECT
    sweep_id,
    state,
    month_of(started_at),
    month_of(ended_at),
    study_found_count,
    study_read_count,
    measured_count,
    excluded_count,
    failed_count,
    software_version
FROM sweep_summary
ORDER BY sweep_id;

CREATE TABLE research.exclusion_flow (
    row_number             INTEGER PRIMARY KEY,
    step                   INTEGER NOT NULL,
    stage                  VARCHAR NOT NULL,
    reason                 VARCHAR,
    study_count            BIGINT NOT NULL
);
COMMENT ON TABLE research.exclusion_flow IS 'How many studies reached a result, and where the others stopped (STARD 2015, item 19); without patients who have opted out.';
COMMENT ON COLUMN research.exclusion_flow.row_number IS 'Number of the row, from 1.';
INSERT INTO research.exclusion_flow
SELECT row_number() OVER (ORDER BY step, reason IS NULL, study_count DESC, reason), step, stage, reason, study_count
FROM memory.exclusion_flow;

CREATE TABLE research.care_gap_month (
    row_number             INTEGER PRIMARY KEY,
    ct_month               DATE,
    sex                    VARCHAR,
    measured_count         BIGINT NOT NULL,
    likely_count           BIGINT NOT NULL,
    flagged_count          BIGINT NOT NULL,
    had_dxa_already_count  BIGINT NOT NULL,
    dxa_within_12_weeks_count BIGINT NOT NULL,
    not_yet_due_count      BIGINT NOT NULL
);
COMMENT ON TABLE research.care_gap_month IS 'One row a CT month and sex of 10 or more measured studies, the others are left out: measured, likely, ever flagged, and what became of the flagged within 12 weeks; without patients who have opted out.';
COMMENT ON COLUMN research.care_gap_month.row_number IS 'Number of the row, from 1.';
INSERT INTO research.care_gap_month
SELECT
    row_number() OVER (ORDER BY ct_month, sex),
    ct_month,
    sex,
    measured_count,
    likely_count,
    flagged_count,
    had_dxa_already_count,
    dxa_within_12_weeks_count,
    not_yet_due_count
FROM memory.care_gap_month
WHERE enough(measured_count);

CREATE TABLE research.scanner_month (
    scanner                INTEGER NOT NULL,
    month                  DATE NOT NULL,
    study_count            BIGINT NOT NULL,
    measured_count         BIGINT NOT NULL,
    excluded_count         BIGINT NOT NULL,
    failed_count           BIGINT NOT NULL,
    likely_count           BIGINT NOT NULL,
    air_hu                 DOUBLE,
    air_hu_sd              DOUBLE,
    air_hu_count           BIGINT NOT NULL,
    fat_hu                 DOUBLE,
    fat_hu_sd              DOUBLE,
    fat_hu_count           BIGINT NOT NULL,
    muscle_hu              DOUBLE,
    muscle_hu_sd           DOUBLE,
    muscle_hu_count        BIGINT NOT NULL,
    soft_tissue_hu         DOUBLE,
    soft_tissue_hu_sd      DOUBLE,
    soft_tissue_hu_count   BIGINT NOT NULL,
    l1_hu                  DOUBLE,
    l1_hu_sd               DOUBLE,
    l1_hu_count            BIGINT NOT NULL,
    bmd_cnn                DOUBLE,
    bmd_cnn_sd             DOUBLE,
    bmd_cnn_count          BIGINT NOT NULL,
    PRIMARY KEY (scanner, month)
);
COMMENT ON TABLE research.scanner_month IS 'What each scanner read in each month of 10 or more studies, the others are left out; means of fewer than 10 studies are NULL; adjusted for tube voltage and, for bone, contrast, sex and age; without patients who have opted out.';
COMMENT ON COLUMN research.scanner_month.scanner IS 'The scanner, see table scanner.';
INSERT INTO research.scanner_month
SELECT
    numbered_scanner.scanner,
    month,
    study_count,
    measured_count,
    excluded_count,
    failed_count,
    likely_count,
    CASE WHEN enough(air_hu_count) THEN air_hu END,
    CASE WHEN enough(air_hu_count) THEN air_hu_sd END,
    air_hu_count,
    CASE WHEN enough(fat_hu_count) THEN fat_hu END,
    CASE WHEN enough(fat_hu_count) THEN fat_hu_sd END,
    fat_hu_count,
    CASE WHEN enough(muscle_hu_count) THEN muscle_hu END,
    CASE WHEN enough(muscle_hu_count) THEN muscle_hu_sd END,
    muscle_hu_count,
    CASE WHEN enough(soft_tissue_hu_count) THEN soft_tissue_hu END,
    CASE WHEN enough(soft_tissue_hu_count) THEN soft_tissue_hu_sd END,
    soft_tissue_hu_count,
    CASE WHEN enough(l1_hu_count) THEN l1_hu END,
    CASE WHEN enough(l1_hu_count) THEN l1_hu_sd END,
    l1_hu_count,
    CASE WHEN enough(bmd_cnn_count) THEN bmd_cnn END,
    CASE WHEN enough(bmd_cnn_count) THEN bmd_cnn_sd END,
    bmd_cnn_count
FROM memory.scanner_month AS monthly
JOIN numbered_scanner ON numbered_scanner.name = monthly.scanner
WHERE enough(study_count)
ORDER BY numbered_scanner.scanner, month;

CREATE TABLE research.drift_metric (
    month                  DATE NOT NULL,
    scanner                INTEGER NOT NULL,
    metric                 VARCHAR NOT NULL,
    value                  DOUBLE NOT NULL,
    n                      BIGINT NOT NULL,
    state                  VARCHAR NOT NULL,
    baseline               DOUBLE,
    baseline_n             BIGINT,
    shift                  DOUBLE,
    z                      DOUBLE,
    months                 INTEGER,
    z_limit                DOUBLE,
    material_shift         DOUBLE,
    PRIMARY KEY (month, scanner, metric)
);
COMMENT ON TABLE research.drift_metric IS 'One row a month, scanner and metric of 10 or more studies, the others are left out, set against the first months of the same scanner; of all studies, those of patients who have opted out included.';
COMMENT ON COLUMN research.drift_metric.scanner IS 'The scanner, see table scanner.';
INSERT INTO research.drift_metric
SELECT
    month,
    numbered_scanner.scanner,
    metric,
    value,
    n,
    state,
    baseline,
    baseline_n,
    shift,
    z,
    months,
    z_limit,
    material_shift
FROM drift_metric
JOIN numbered_scanner ON numbered_scanner.name = drift_metric.scanner
WHERE enough(n)
ORDER BY month, numbered_scanner.scanner, metric;

CREATE TABLE research.validation_run (
    run_id                 INTEGER PRIMARY KEY,
    validated_at           TIMESTAMP NOT NULL,
    software_version       VARCHAR NOT NULL,
    checkpoint_sha256      VARCHAR NOT NULL,
    data_kind              VARCHAR NOT NULL,
    window_days            INTEGER NOT NULL,
    scale                  VARCHAR,
    measured_count         BIGINT NOT NULL,
    pair_count             BIGINT NOT NULL,
    bmd_count              BIGINT NOT NULL,
    label_count            BIGINT NOT NULL,
    osteoporosis_count     BIGINT NOT NULL,
    seen_count             BIGINT NOT NULL,
    left_out               JSON NOT NULL
);
COMMENT ON TABLE research.validation_run IS 'One row a comparison of BMD_CNN with the DXA on record, patients who have opted out included; its figures stand in validation_metric.';
INSERT INTO research.validation_run
SELECT
    run_id,
    validated_at,
    software_version,
    checkpoint_sha256,
    data_kind,
    window_days,
    scale,
    measured_count,
    pair_count,
    bmd_count,
    label_count,
    osteoporosis_count,
    seen_count,
    left_out
FROM validation_run
ORDER BY run_id;

CREATE TABLE research.validation_metric (
    run_id                 INTEGER NOT NULL,
    reader                 VARCHAR NOT NULL,
    dimension              VARCHAR NOT NULL,
    subgroup               VARCHAR NOT NULL,
    metric                 VARCHAR NOT NULL,
    value                  DOUBLE,
    ci_low                 DOUBLE,
    ci_high                DOUBLE,
    n                      BIGINT NOT NULL,
    note                   VARCHAR NOT NULL,
    PRIMARY KEY (run_id, reader, dimension, subgroup, metric)
);
COMMENT ON TABLE research.validation_metric IS 'One row a figure of a comparison of 10 or more patients, the others are left out, with its 95 % confidence interval; groups that a header names (scanner, kernel) stay with the site.';
INSERT INTO research.validation_metric
SELECT run_id, reader, dimension, subgroup, metric, value, ci_low, ci_high, n, note
FROM validation_metric
WHERE enough(n) AND (
    dimension IN ('overall', 'sex', 'age', 'kvp', 'slice_thickness', 'ct_month', 'level_certainty', 'contrast')
    OR (dimension = 'dxa_manufacturer' AND list_contains(getvariable('makers_of_dxa'), subgroup))
)
ORDER BY run_id, reader, dimension, subgroup, metric;

CREATE TABLE research.reject_count (
    kind                   VARCHAR NOT NULL,
    source_format          VARCHAR NOT NULL,
    reason                 VARCHAR NOT NULL,
    record_count           BIGINT NOT NULL,
    PRIMARY KEY (kind, source_format, reason)
);
COMMENT ON TABLE research.reject_count IS 'Imported records that were refused, by the rule that refused them; without those known to be of patients who have opted out.';
COMMENT ON COLUMN research.reject_count.kind IS 'dxa or patients: what they were imported as.';
COMMENT ON COLUMN research.reject_count.source_format IS 'csv, parquet, fhir, hl7, dicom or omop.';
COMMENT ON COLUMN research.reject_count.reason IS 'Rule that refused them, a value of screening.records.refusals.Refusal.';
COMMENT ON COLUMN research.reject_count.record_count IS 'Records, count.';
INSERT INTO research.reject_count
SELECT kind, source_format, reason, count(*)
FROM rejected_record
ANTI JOIN opted_out USING (patient_id)
GROUP BY ALL
ORDER BY ALL;
