-- Which comparisons of BMD_CNN with DXA were made, of which checkpoint, and what did they find?
-- One row a comparison, newest first; the four main figures of each with their intervals.
WITH main AS (
    SELECT
        run_id,
        first(value) FILTER (metric = 'pearson_r') AS pearson_r,
        first(ci_low) FILTER (metric = 'pearson_r') AS pearson_r_low,
        first(ci_high) FILTER (metric = 'pearson_r') AS pearson_r_high,
        first(value) FILTER (metric = 'auc') AS auc,
        first(ci_low) FILTER (metric = 'auc') AS auc_low,
        first(ci_high) FILTER (metric = 'auc') AS auc_high,
        first(value) FILTER (metric = 'bias_g_cm2') AS bias_g_cm2,
        first(ci_low) FILTER (metric = 'bias_g_cm2') AS bias_g_cm2_low,
        first(ci_high) FILTER (metric = 'bias_g_cm2') AS bias_g_cm2_high,
        first(value) FILTER (metric = 'coverage_90') AS coverage_90,
        first(ci_low) FILTER (metric = 'coverage_90') AS coverage_90_low,
        first(ci_high) FILTER (metric = 'coverage_90') AS coverage_90_high
    FROM validation_metric
    WHERE reader = 'bmd_cnn' AND dimension = 'overall'
    GROUP BY run_id
)
SELECT
    validation_run.run_id,
    validation_run.validated_at,
    coalesce(model.name, left(validation_run.checkpoint_sha256, 12)) AS checkpoint,
    validation_run.checkpoint_sha256,
    coalesce(model.active, false) AS active,
    validation_run.pair_count,
    main.* EXCLUDE (run_id)
FROM validation_run
LEFT JOIN model USING (checkpoint_sha256)
LEFT JOIN main USING (run_id)
ORDER BY validation_run.run_id DESC;
