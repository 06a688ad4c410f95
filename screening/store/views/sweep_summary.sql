-- How did each night end?
-- One row a sweep: what was found, what was read, how it ended, how long it took.
CREATE OR REPLACE VIEW sweep_summary AS
SELECT
    sweep_id,
    state,
    started_at,
    ended_at,
    date_diff('millisecond', started_at, ended_at) / 1000.0 AS duration_seconds,
    file_found_count,
    file_read_count,
    file_problem_count,
    study_found_count,
    study_read_count,
    measured_count,
    excluded_count,
    failed_count,
    failed_count / nullif(study_read_count, 0) AS failed_share,
    CASE WHEN duration_seconds >= 60 THEN study_read_count / (duration_seconds / 3600.0) END AS studies_per_hour,
    checkpoint_sha256,
    software_version
FROM sweep
ORDER BY sweep_id;
COMMENT ON COLUMN sweep_summary.duration_seconds IS 'From start to end of the sweep, s.';
COMMENT ON COLUMN sweep_summary.failed_share IS 'failed_count / study_read_count, 1; NULL when none was read.';
COMMENT ON COLUMN sweep_summary.studies_per_hour IS 'Studies read an hour of the sweep, 1/h; NULL for a sweep under a minute, which says nothing of speed.';
COMMENT ON COLUMN sweep_summary.checkpoint_sha256 IS 'SHA-256 of the checkpoint that read the studies of this sweep.';
