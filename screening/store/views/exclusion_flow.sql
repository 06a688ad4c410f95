-- How many studies reached a result, and where did the others stop?
-- A flow diagram as STARD 2015 asks for (item 19), under the active checkpoint: studies found -> read -> CT -> eligible
-- series -> localised -> measured. One row a stage with the studies that reached it (no reason), and one row a reason
-- with those that stopped before it: each stage and the reasons before it add up to the stage above.
CREATE OR REPLACE VIEW exclusion_flow AS
WITH stage (step, stage) AS (
    VALUES (1, 'found'), (2, 'read'), (3, 'ct'), (4, 'eligible_series'), (5, 'localised'), (6, 'measured')
),
ended AS (
    SELECT study_instance_uid, status, reason
    FROM outcome
    JOIN model USING (checkpoint_sha256)
    WHERE model.active
),
found AS (
    SELECT study_instance_uid FROM series_index WHERE present
    UNION
    SELECT study_instance_uid FROM ended
),
-- The stage that a study did not reach; NULL where it was measured.
stopped AS (
    SELECT
        CASE
            WHEN ended.status IS NULL THEN 2
            WHEN ended.status = 'failed' THEN 2
            WHEN ended.status = 'measured' THEN NULL
            WHEN ended.reason = 'not_ct' THEN 3
            WHEN ended.reason IN ('no_label_map', 'label_map_unusable', 'no_lumbar', 'level_uncertain') THEN 5
            WHEN ended.reason = 'too_few_levels' THEN 6
            ELSE 4  -- what headers or pixels show of a series before its spine is looked for, and contrast
        END AS step,
        CASE
            WHEN ended.status IS NULL THEN 'not_read_yet'
            WHEN ended.status = 'failed' THEN 'failed: ' || ended.reason
            ELSE ended.reason
        END AS reason
    FROM found
    LEFT JOIN ended USING (study_instance_uid)
),
counted AS (
    SELECT
        step,
        stage,
        NULL AS reason,
        (SELECT count(*) FROM stopped WHERE stopped.step IS NULL OR stopped.step > stage.step) AS study_count
    FROM stage
    UNION ALL
    SELECT step, stage, stopped.reason, count(*) AS study_count
    FROM stopped
    JOIN stage USING (step)
    GROUP BY ALL
)
SELECT step, stage, reason, study_count
FROM counted
ORDER BY step, reason IS NULL, study_count DESC, reason;
COMMENT ON COLUMN exclusion_flow.step IS 'Place of the stage in the flow, from 1.';
COMMENT ON COLUMN exclusion_flow.stage IS 'found (in an archive at the last sweep, or read before), read (has an outcome and did not fail), ct, eligible_series, localised, measured.';
COMMENT ON COLUMN exclusion_flow.reason IS 'Why studies did not reach the stage (screening.errors.Exclusion, "failed: " and exception type, or not_read_yet); NULL on the row of those that did.';
COMMENT ON COLUMN exclusion_flow.study_count IS 'Studies, count.';
