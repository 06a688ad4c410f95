-- Whether the numbers can be trusted: written by screening validate, drift, recalibrate and model.

-- Databases made before these columns were there get them here; until then the window was 180 days.
ALTER TABLE publication ADD COLUMN IF NOT EXISTS validation_window_days INTEGER DEFAULT 180;
COMMENT ON COLUMN publication.validation_window_days IS 'Most days between a CT and the DXA it is held against (view validation_pair), days.';
ALTER TABLE model ADD COLUMN IF NOT EXISTS reference VARCHAR;
ALTER TABLE model ADD COLUMN IF NOT EXISTS parent_sha256 VARCHAR;
ALTER TABLE model ADD COLUMN IF NOT EXISTS recalibration JSON;
ALTER TABLE model ADD COLUMN IF NOT EXISTS file_name VARCHAR;
COMMENT ON COLUMN model.reference IS 'What its BMD is measured against, with the scale; NULL where it was registered before this was stored.';
COMMENT ON COLUMN model.parent_sha256 IS 'The checkpoint that it was recalibrated from; NULL for one that was not.';
COMMENT ON COLUMN model.recalibration IS 'What a recalibration does to BMD of its parent: kind, and knots as pairs of BMD before and after, g/cm2; NULL for one that was not recalibrated.';
COMMENT ON COLUMN model.file_name IS 'Its file in the folder models beside this database; NULL where it lies elsewhere or is bundled.';

CREATE TABLE IF NOT EXISTS validation_run (
    run_id                 INTEGER PRIMARY KEY,
    validated_at           TIMESTAMP NOT NULL,
    software_version       VARCHAR NOT NULL,
    checkpoint_sha256      VARCHAR NOT NULL CHECK (length(checkpoint_sha256) = 64),
    data_kind              VARCHAR NOT NULL CHECK (data_kind IN ('simulated', 'site')),
    window_days            INTEGER NOT NULL CHECK (window_days >= 0),
    scale                  VARCHAR,
    settings               JSON NOT NULL,
    measured_count         BIGINT NOT NULL CHECK (measured_count >= 0),
    pair_count             BIGINT NOT NULL CHECK (pair_count BETWEEN 0 AND measured_count),
    bmd_count              BIGINT NOT NULL CHECK (bmd_count BETWEEN 0 AND pair_count),
    label_count            BIGINT NOT NULL CHECK (label_count BETWEEN 0 AND pair_count),
    osteoporosis_count     BIGINT NOT NULL CHECK (osteoporosis_count BETWEEN 0 AND label_count),
    seen_count             BIGINT NOT NULL CHECK (seen_count BETWEEN 0 AND pair_count),
    left_out               JSON NOT NULL
);
COMMENT ON TABLE validation_run IS 'One row a comparison of BMD_CNN with the DXA on record; its figures stand in validation_metric.';
COMMENT ON COLUMN validation_run.run_id IS 'Number of the comparison in this database, from 1.';
COMMENT ON COLUMN validation_run.validated_at IS 'When, UTC.';
COMMENT ON COLUMN validation_run.software_version IS 'Version of this software.';
COMMENT ON COLUMN validation_run.checkpoint_sha256 IS 'The checkpoint whose results were compared, see table model.';
COMMENT ON COLUMN validation_run.data_kind IS 'What it was trained on: simulated CT, or CT and DXA pairs of a site.';
COMMENT ON COLUMN validation_run.window_days IS 'Most days between a CT and its DXA, days.';
COMMENT ON COLUMN validation_run.scale IS 'Manufacturer on whose scale BMD was compared; NULL where it is not known, and then no BMD was.';
COMMENT ON COLUMN validation_run.settings IS 'Settings of the comparison, factors between scales and references included.';
COMMENT ON COLUMN validation_run.measured_count IS 'Patients with a measured CT, count.';
COMMENT ON COLUMN validation_run.pair_count IS 'Of them: with a DXA of L1-L4 within the window and of certain identity, count.';
COMMENT ON COLUMN validation_run.bmd_count IS 'Pairs whose DXA has a BMD that could be brought to the scale, count.';
COMMENT ON COLUMN validation_run.label_count IS 'Pairs whose DXA tells osteoporosis from none, count.';
COMMENT ON COLUMN validation_run.osteoporosis_count IS 'Of them with osteoporosis by DXA, T <= -2.5, count.';
COMMENT ON COLUMN validation_run.seen_count IS 'Pairs that the checkpoint was recalibrated to, which flatters it, count.';
COMMENT ON COLUMN validation_run.left_out IS 'Reason to patients or pairs that could not be used, count.';

CREATE TABLE IF NOT EXISTS validation_metric (
    run_id                 INTEGER NOT NULL,
    reader                 VARCHAR NOT NULL CHECK (reader IN ('bmd_cnn', 'hu_regression', 'difference', 'weighted')),
    dimension              VARCHAR NOT NULL,
    subgroup               VARCHAR NOT NULL,
    metric                 VARCHAR NOT NULL,
    value                  DOUBLE CHECK (value BETWEEN -1e6 AND 1e6),
    ci_low                 DOUBLE CHECK (ci_low BETWEEN -1e9 AND 1e9),
    ci_high                DOUBLE CHECK (ci_high BETWEEN -1e9 AND 1e9),
    n                      BIGINT NOT NULL CHECK (n >= 0),
    note                   VARCHAR NOT NULL,
    PRIMARY KEY (run_id, reader, dimension, subgroup, metric),
    CHECK (value IS NOT NULL OR note <> '')
);
COMMENT ON TABLE validation_metric IS 'One row a figure of a comparison, with its 95 % confidence interval.';
COMMENT ON COLUMN validation_metric.run_id IS 'The comparison, see validation_run.';
COMMENT ON COLUMN validation_metric.reader IS 'bmd_cnn; hu_regression: trabecular HU through a straight line that was fitted to other patients; difference: bmd_cnn minus hu_regression; weighted: bmd_cnn with each pair standing for the patients that have no DXA.';
COMMENT ON COLUMN validation_metric.dimension IS 'What the patients have in common: overall, sex, age, manufacturer, scanner, kvp, kernel, slice_thickness, ct_month, dxa_manufacturer, level_certainty or contrast.';
COMMENT ON COLUMN validation_metric.subgroup IS 'The group; "all" for overall.';
COMMENT ON COLUMN validation_metric.metric IS 'Name of the figure: pearson_r, lin_ccc, auc and so on; names that end in g_cm2 are in g/cm2, all others have no unit.';
COMMENT ON COLUMN validation_metric.value IS 'The figure; NULL where it cannot be had, and then note says why.';
COMMENT ON COLUMN validation_metric.ci_low IS 'Lower end of its 95 % confidence interval, in its unit.';
COMMENT ON COLUMN validation_metric.ci_high IS 'Upper end of its 95 % confidence interval, in its unit.';
COMMENT ON COLUMN validation_metric.n IS 'Patients that it rests on, count.';
COMMENT ON COLUMN validation_metric.note IS 'Why there is no figure or no interval; else empty.';

CREATE TABLE IF NOT EXISTS drift_metric (
    month                  DATE NOT NULL,
    scanner                VARCHAR NOT NULL,
    metric                 VARCHAR NOT NULL,
    value                  DOUBLE NOT NULL CHECK (value BETWEEN -4000 AND 4000),
    n                      BIGINT NOT NULL CHECK (n > 0),
    state                  VARCHAR NOT NULL CHECK (state IN ('baseline', 'too_few', 'stable', 'alert')),
    baseline               DOUBLE CHECK (baseline BETWEEN -4000 AND 4000),
    baseline_n             BIGINT CHECK (baseline_n > 0),
    shift                  DOUBLE CHECK (shift BETWEEN -8000 AND 8000),
    z                      DOUBLE CHECK (z BETWEEN -1e6 AND 1e6),
    months                 INTEGER CHECK (months BETWEEN 1 AND 12),
    z_limit                DOUBLE CHECK (z_limit BETWEEN 0 AND 100),
    material_shift         DOUBLE CHECK (material_shift BETWEEN 0 AND 4000),
    PRIMARY KEY (month, scanner, metric)
);
COMMENT ON TABLE drift_metric IS 'One row a month, scanner and metric, set against the first months of the same scanner; written anew by screening drift.';
COMMENT ON COLUMN drift_metric.month IS 'First day of the month of the CT.';
COMMENT ON COLUMN drift_metric.scanner IS 'Manufacturer, model and institution, as in the view scanner_month.';
COMMENT ON COLUMN drift_metric.metric IS 'air_hu, fat_hu, muscle_hu, soft_tissue_hu (fat and muscle together), l1_hu (HU), bmd_cnn (g/cm2), or the share of studies (1) that are flag_rate (likely osteoporosis), failed or "excluded: " and the reason.';
COMMENT ON COLUMN drift_metric.value IS 'Mean or share of the month, in the unit of the metric; means are adjusted for tube voltage, those of bone also for age, sex and contrast.';
COMMENT ON COLUMN drift_metric.n IS 'Studies that it rests on, count.';
COMMENT ON COLUMN drift_metric.state IS 'baseline: the scanner is still being learned; too_few studies to judge; stable; alert: the shift is larger than chance and large enough to matter.';
COMMENT ON COLUMN drift_metric.baseline IS 'The same in the baseline months of the scanner; NULL before there are enough.';
COMMENT ON COLUMN drift_metric.baseline_n IS 'Studies in the baseline months, count.';
COMMENT ON COLUMN drift_metric.shift IS 'Value less baseline, over the newest months as column months says, in the unit of the metric.';
COMMENT ON COLUMN drift_metric.z IS 'That shift in standard errors, variation from month to month included, 1.';
COMMENT ON COLUMN drift_metric.months IS 'Newest months that shift and z are of: 1 or, where a small shift stands out only over several, more; count.';
COMMENT ON COLUMN drift_metric.z_limit IS 'What z must exceed, given how many scanners and metrics are looked at each month, 1.';
COMMENT ON COLUMN drift_metric.material_shift IS 'What the shift must exceed to matter, in the unit of the metric.';

CREATE TABLE IF NOT EXISTS promotion (
    promotion_id           INTEGER PRIMARY KEY,
    promoted_at            TIMESTAMP NOT NULL,
    checkpoint_sha256      VARCHAR NOT NULL CHECK (length(checkpoint_sha256) = 64),
    previous_sha256        VARCHAR CHECK (length(previous_sha256) = 64),
    pair_count             BIGINT NOT NULL CHECK (pair_count >= 0),
    comparison             JSON NOT NULL,
    forced                 BOOLEAN NOT NULL,
    verdict                VARCHAR NOT NULL
);
COMMENT ON TABLE promotion IS 'One row a decision about which checkpoint sweeps read with; the newest counts.';
COMMENT ON COLUMN promotion.promotion_id IS 'Number of the promotion in this database, from 1.';
COMMENT ON COLUMN promotion.promoted_at IS 'When, UTC.';
COMMENT ON COLUMN promotion.checkpoint_sha256 IS 'The checkpoint that the next sweep reads with, see table model.';
COMMENT ON COLUMN promotion.previous_sha256 IS 'The checkpoint it was held against; NULL where there was none.';
COMMENT ON COLUMN promotion.pair_count IS 'Pairs of CT and DXA that both were compared on, count.';
COMMENT ON COLUMN promotion.comparison IS 'Figures of both and of their difference, with intervals.';
COMMENT ON COLUMN promotion.forced IS 'Whether it was promoted although it was worse, or could not be compared.';
COMMENT ON COLUMN promotion.verdict IS 'What the comparison said.';

CREATE TABLE IF NOT EXISTS recalibration_pair (
    checkpoint_sha256      VARCHAR NOT NULL CHECK (length(checkpoint_sha256) = 64),
    study_instance_uid     VARCHAR NOT NULL,
    bmd_left_out           DOUBLE NOT NULL CHECK (bmd_left_out BETWEEN -1 AND 5),
    PRIMARY KEY (checkpoint_sha256, study_instance_uid)
);
COMMENT ON TABLE recalibration_pair IS 'The pairs that a recalibration was fitted to, each as a fit without it reads it: what an honest comparison must use.';
COMMENT ON COLUMN recalibration_pair.checkpoint_sha256 IS 'The recalibrated checkpoint, see table model.';
COMMENT ON COLUMN recalibration_pair.study_instance_uid IS 'StudyInstanceUID (0020,000D) of the CT.';
COMMENT ON COLUMN recalibration_pair.bmd_left_out IS 'Areal BMD of the patient by the recalibration fitted to the other folds, g/cm2.';
