-- What the site counts and watches as a whole: no row of these is of one patient.
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
INSERT INTO research.reference_population BY NAME FROM reference_population;

CREATE TABLE research.sweep_summary (
    sweep_id               INTEGER PRIMARY KEY,
    state                  VARCHAR NOT NULL,
    started_at             TIMESTAMP NOT NULL,
    ended_at               TIMESTAMP,
    study_found_count      BIGINT,
    study_read_count       BIGINT,
    measured_count         BIGINT,
    excluded_count         BIGINT,
    failed_count           BIGINT,
    software_version       VARCHAR NOT NULL
);
COMMENT ON TABLE research.sweep_summary IS 'One row a sweep: what was found, what was read, how it ended.';
INSERT INTO research.sweep_summary BY NAME
SELECT
    sweep_id, state, started_at, ended_at, study_found_count, study_read_count, measured_count, excluded_count,
    failed_count, software_version
FROM sweep_summary;

CREATE TABLE research.exclusion_flow (
    row_number             INTEGER PRIMARY KEY,
    step                   INTEGER NOT NULL,
    stage                  VARCHAR NOT NULL,
    reason                 VARCHAR,
    study_count            BIGINT NOT NULL
);
COMMENT ON TABLE research.exclusion_flow IS 'How many studies reached a result, and where the others stopped (STARD 2015, item 19).';
COMMENT ON COLUMN research.exclusion_flow.row_number IS 'Number of the row, from 1.';
INSERT INTO research.exclusion_flow BY NAME
SELECT row_number() OVER (ORDER BY step, reason IS NULL, study_count DESC, reason) AS row_number, *
FROM exclusion_flow;

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
COMMENT ON TABLE research.care_gap_month IS 'One row a CT month and sex: measured, likely, ever flagged, and what became of the flagged within 12 weeks.';
COMMENT ON COLUMN research.care_gap_month.row_number IS 'Number of the row, from 1.';
INSERT INTO research.care_gap_month BY NAME
SELECT
    row_number() OVER (ORDER BY ct_month, sex) AS row_number, ct_month, sex, measured_count, likely_count,
    flagged_count, had_dxa_already_count, dxa_within_12_weeks_count, not_yet_due_count
FROM care_gap_month;

CREATE TABLE research.scanner_month AS
SELECT numbered_scanner.scanner, scanner_month.* EXCLUDE (scanner)
FROM scanner_month
JOIN numbered_scanner ON numbered_scanner.name = scanner_month.scanner
ORDER BY numbered_scanner.scanner, scanner_month.month;
ALTER TABLE research.scanner_month ADD PRIMARY KEY (scanner, month);
COMMENT ON TABLE research.scanner_month IS 'What each scanner read in each month, adjusted for tube voltage and, for bone, contrast, sex and age.';
COMMENT ON COLUMN research.scanner_month.scanner IS 'The scanner, see table scanner.';

CREATE TABLE research.drift_metric AS
SELECT drift_metric.month, numbered_scanner.scanner, drift_metric.* EXCLUDE (month, scanner)
FROM drift_metric
JOIN numbered_scanner ON numbered_scanner.name = drift_metric.scanner
ORDER BY ALL;
ALTER TABLE research.drift_metric ADD PRIMARY KEY (month, scanner, metric);
COMMENT ON TABLE research.drift_metric IS 'One row a month, scanner and metric, set against the first months of the same scanner.';
COMMENT ON COLUMN research.drift_metric.scanner IS 'The scanner, see table scanner.';

CREATE TABLE research.validation_run AS
SELECT * EXCLUDE (settings) FROM validation_run ORDER BY run_id;
ALTER TABLE research.validation_run ADD PRIMARY KEY (run_id);
COMMENT ON TABLE research.validation_run IS 'One row a comparison of BMD_CNN with the DXA on record; its figures stand in validation_metric.';

CREATE TABLE research.validation_metric AS
SELECT *
FROM validation_metric
WHERE dimension IN ('overall', 'sex', 'age', 'kvp', 'slice_thickness', 'ct_month', 'level_certainty', 'contrast')
    OR (dimension = 'dxa_manufacturer' AND list_contains(getvariable('makers_of_dxa'), subgroup))
ORDER BY ALL;
ALTER TABLE research.validation_metric ADD PRIMARY KEY (run_id, reader, dimension, subgroup, metric);
COMMENT ON TABLE research.validation_metric IS 'One row a figure of a comparison, with its 95 % confidence interval; groups that a header names (scanner, kernel) stay with the site.';

CREATE TABLE research.reject_count (
    kind                   VARCHAR NOT NULL,
    source_format          VARCHAR NOT NULL,
    reason                 VARCHAR NOT NULL,
    record_count           BIGINT NOT NULL,
    PRIMARY KEY (kind, source_format, reason)
);
COMMENT ON TABLE research.reject_count IS 'Imported records that were refused, by the rule that refused them.';
COMMENT ON COLUMN research.reject_count.kind IS 'dxa or patients: what they were imported as.';
COMMENT ON COLUMN research.reject_count.source_format IS 'csv, parquet, fhir, hl7, dicom or omop.';
COMMENT ON COLUMN research.reject_count.reason IS 'Rule that refused them, a value of screening.records.refusals.Refusal.';
COMMENT ON COLUMN research.reject_count.record_count IS 'Records, count.';
INSERT INTO research.reject_count
SELECT kind, source_format, reason, count(*) FROM rejected_record GROUP BY ALL ORDER BY ALL;
