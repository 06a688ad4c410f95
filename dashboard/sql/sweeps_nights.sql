-- How did each night end, what did it count, and do its books add up?
-- Newest first; counts of a night that did not come to its end are missing.
WITH side AS (
    SELECT
        sweep_id,
        sum(item_count) FILTER (unit = 'file' AND side = 'found')::BIGINT AS file_booked_count,
        sum(item_count) FILTER (unit = 'file' AND side = 'accounted')::BIGINT AS file_accounted_count,
        sum(item_count) FILTER (unit = 'series' AND side = 'found')::BIGINT AS series_booked_count,
        sum(item_count) FILTER (unit = 'series' AND side = 'accounted')::BIGINT AS series_accounted_count
    FROM sweep_ledger
    GROUP BY sweep_id
)
SELECT
    sweep.sweep_id,
    sweep.started_at,
    sweep.state,
    summary.duration_seconds / 3600 AS duration_hours,
    sweep.study_found_count,
    sweep.study_read_count,
    sweep.measured_count,
    sweep.excluded_count,
    sweep.failed_count,
    100 * summary.failed_share AS failed_share_percent,
    100 * CAST(json_extract(sweep.config, '$.sweep.failed_share_limit') AS DOUBLE) AS failed_share_limit_percent,
    summary.studies_per_hour,
    sweep.study_pending_count,
    sweep.study_settling_count,
    sweep.full_walk,
    sweep.file_found_count,
    sweep.file_read_count,
    sweep.file_added_count,
    sweep.file_changed_count,
    sweep.file_moved_count,
    sweep.file_vanished_count,
    sweep.file_problem_count,
    side.file_booked_count,
    side.file_accounted_count,
    side.series_booked_count,
    side.series_accounted_count,
    model.name AS checkpoint_name,
    sweep.checkpoint_sha256,
    sweep.software_version,
    sweep.ended_at
FROM sweep
JOIN sweep_summary AS summary USING (sweep_id)
LEFT JOIN side USING (sweep_id)
LEFT JOIN model ON model.checkpoint_sha256 = sweep.checkpoint_sha256
ORDER BY sweep.sweep_id DESC;
