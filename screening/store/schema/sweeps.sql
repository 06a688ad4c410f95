-- Sweeps, their reconciliation, and publications.

CREATE TABLE IF NOT EXISTS sweep (
    sweep_id               INTEGER PRIMARY KEY,
    started_at             TIMESTAMP NOT NULL,
    ended_at               TIMESTAMP CHECK (ended_at >= started_at),
    state                  VARCHAR NOT NULL CHECK (state IN ('running', 'completed', 'stopped', 'interrupted')),
    archives               VARCHAR[] NOT NULL,
    checkpoint_sha256      VARCHAR NOT NULL CHECK (length(checkpoint_sha256) = 64),
    software_version       VARCHAR NOT NULL,
    library_versions       JSON NOT NULL,
    config                 JSON NOT NULL,
    file_found_count       BIGINT CHECK (file_found_count >= 0),
    file_read_count        BIGINT CHECK (file_read_count BETWEEN 0 AND file_found_count),
    file_problem_count     BIGINT CHECK (file_problem_count >= 0),
    study_found_count      BIGINT CHECK (study_found_count >= 0),
    study_read_count       BIGINT CHECK (study_read_count >= 0),
    measured_count         BIGINT CHECK (measured_count >= 0),
    excluded_count         BIGINT CHECK (excluded_count >= 0),
    failed_count           BIGINT CHECK (failed_count >= 0)
);
-- A database made before these columns were there gets them here; earlier sweeps have NULL.
ALTER TABLE sweep ADD COLUMN IF NOT EXISTS full_walk BOOLEAN;
ALTER TABLE sweep ADD COLUMN IF NOT EXISTS file_added_count BIGINT;
ALTER TABLE sweep ADD COLUMN IF NOT EXISTS file_changed_count BIGINT;
ALTER TABLE sweep ADD COLUMN IF NOT EXISTS file_moved_count BIGINT;
ALTER TABLE sweep ADD COLUMN IF NOT EXISTS file_vanished_count BIGINT;
ALTER TABLE sweep ADD COLUMN IF NOT EXISTS study_settling_count BIGINT;
ALTER TABLE sweep ADD COLUMN IF NOT EXISTS study_pending_count BIGINT;
COMMENT ON TABLE sweep IS 'One row a sweep: when it ran, with which software, and what it counted.';
COMMENT ON COLUMN sweep.sweep_id IS 'Number of the sweep in this database, from 1.';
COMMENT ON COLUMN sweep.started_at IS 'Start, UTC.';
COMMENT ON COLUMN sweep.ended_at IS 'End, UTC; NULL while running or after an interruption.';
COMMENT ON COLUMN sweep.state IS 'running, completed, stopped (asked to), interrupted (found unfinished by the next sweep).';
COMMENT ON COLUMN sweep.archives IS 'Folders or addresses that were crawled.';
COMMENT ON COLUMN sweep.checkpoint_sha256 IS 'SHA-256 of the checkpoint that read the studies of this sweep.';
COMMENT ON COLUMN sweep.software_version IS 'Version of this software.';
COMMENT ON COLUMN sweep.library_versions IS 'Versions of the libraries that decode, compute and store.';
COMMENT ON COLUMN sweep.config IS 'The settings in force, without secrets.';
COMMENT ON COLUMN sweep.file_found_count IS 'Files present in the archives at this sweep, count.';
COMMENT ON COLUMN sweep.file_read_count IS 'Files whose header was read at this sweep because they were new or changed, count.';
COMMENT ON COLUMN sweep.file_problem_count IS 'Files present that are not indexed, each with a row in file_problem, count.';
COMMENT ON COLUMN sweep.study_found_count IS 'Studies present in the archives at this sweep, count.';
COMMENT ON COLUMN sweep.study_read_count IS 'Studies read at this sweep because they were new or changed, count.';
COMMENT ON COLUMN sweep.measured_count IS 'Of the studies read at this sweep: measured, count.';
COMMENT ON COLUMN sweep.excluded_count IS 'Of the studies read at this sweep: excluded with a reason, count.';
COMMENT ON COLUMN sweep.failed_count IS 'Of the studies read at this sweep: failed, count.';
COMMENT ON COLUMN sweep.full_walk IS 'Whether every file was looked at, not only folders that changed.';
COMMENT ON COLUMN sweep.file_added_count IS 'Files that came since the sweep before, count.';
COMMENT ON COLUMN sweep.file_changed_count IS 'Files whose size or modification time changed since the sweep before, count.';
COMMENT ON COLUMN sweep.file_moved_count IS 'Files gone in one place and come in another, within a series, count.';
COMMENT ON COLUMN sweep.file_vanished_count IS 'Files gone since the sweep before, count; results are kept.';
COMMENT ON COLUMN sweep.study_settling_count IS 'Studies present that were still arriving and wait for the next sweep, count.';
COMMENT ON COLUMN sweep.study_pending_count IS 'Studies present that have no result for what they are now, those still arriving apart, count.';

CREATE TABLE IF NOT EXISTS sweep_ledger (
    sweep_id               INTEGER NOT NULL,
    unit                   VARCHAR NOT NULL CHECK (unit IN ('file', 'series')),
    side                   VARCHAR NOT NULL CHECK (side IN ('found', 'accounted')),
    bucket                 VARCHAR NOT NULL,
    reason                 VARCHAR NOT NULL,
    item_count             BIGINT NOT NULL CHECK (item_count > 0),
    PRIMARY KEY (sweep_id, unit, side, bucket, reason)
);
COMMENT ON TABLE sweep_ledger IS 'The books of each sweep: what was found and, in exactly one bucket each, what became of it; the two sides add up to the same.';
COMMENT ON COLUMN sweep_ledger.sweep_id IS 'The sweep.';
COMMENT ON COLUMN sweep_ledger.unit IS 'file or series.';
COMMENT ON COLUMN sweep_ledger.side IS 'found: counted in the archives and the index. accounted: what became of it.';
COMMENT ON COLUMN sweep_ledger.bucket IS 'File, found: looked_at (tonight, or in a folder that has not changed), not_looked_at (known from before: other archives, closed folders). File, accounted: indexed, duplicate (says the same as an indexed one), not_dicom, unreadable, settling (its study is still arriving), not_read (the sweep was stopped before). Series, found: present. Series, accounted: measured, excluded, failed, pending.';
COMMENT ON COLUMN sweep_ledger.reason IS 'unreadable: screening.archive.header.FileProblem. excluded: screening.errors.Exclusion. failed: the module in which it broke. pending: not_read, read_before (it is to be read again; its earlier result stands until then) or settling. Else empty.';
COMMENT ON COLUMN sweep_ledger.item_count IS 'Files or series, count.';

CREATE TABLE IF NOT EXISTS publication (
    publication_id         INTEGER PRIMARY KEY,
    published_at           TIMESTAMP NOT NULL,
    as_of_date             DATE NOT NULL,
    look_back_months       INTEGER NOT NULL CHECK (look_back_months > 0),
    minimum_age_years      INTEGER NOT NULL CHECK (minimum_age_years BETWEEN 0 AND 130)
);
COMMENT ON TABLE publication IS 'One row a publication; the newest one gives the views their date and limits.';
COMMENT ON COLUMN publication.publication_id IS 'Number of the publication in this database, from 1.';
COMMENT ON COLUMN publication.published_at IS 'When this copy was published, UTC.';
COMMENT ON COLUMN publication.as_of_date IS 'The "today" of the look-back.';
COMMENT ON COLUMN publication.look_back_months IS 'A central DXA within so many months before as_of_date closes the care gap.';
COMMENT ON COLUMN publication.minimum_age_years IS 'Youngest age at CT that is flagged, years.';
