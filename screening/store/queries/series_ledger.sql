-- In which bucket the series that are present are; every one is in exactly one.
-- A series of which nothing is known though its study was read is in none: its bucket is NULL, and the books do not add up.
-- Table `waiting`: studies without a result for what they are now, with the reason.
-- A series that is to be read again, for its study changed or it was asked for, was read before: that result stands until then.
-- Parameters: $checkpoint, SHA-256; $reasons, those of an exclusion in the order of the stages.
WITH decided AS (
    SELECT
        study_instance_uid,
        series_instance_uid,
        bool_or(chosen) AS chosen,
        arg_max(reason, coalesce(list_position($reasons, reason), 0)) AS reason
    FROM series
    GROUP BY ALL
),
placed AS (
    SELECT
        CASE
            WHEN waiting.reason IS NOT NULL THEN 'pending'
            WHEN outcome.status = 'failed' THEN 'failed'
            WHEN outcome.status IS NULL THEN NULL
            WHEN decided.chosen THEN 'measured'
            WHEN decided.reason IS NOT NULL THEN 'excluded'
        END AS bucket,
        CASE bucket
            WHEN 'pending' THEN
                if(
                    waiting.reason = 'not_read'
                    AND outcome.status IN ('measured', 'excluded')
                    AND decided.series_instance_uid IS NOT NULL,
                    'read_before',
                    waiting.reason
                )
            WHEN 'failed' THEN outcome.stage
            WHEN 'excluded' THEN decided.reason
            ELSE ''
        END AS reason
    FROM series_index
    LEFT JOIN waiting USING (study_instance_uid)
    LEFT JOIN outcome
        ON outcome.study_instance_uid = series_index.study_instance_uid AND outcome.checkpoint_sha256 = $checkpoint
    LEFT JOIN decided
        ON
            decided.study_instance_uid = series_index.study_instance_uid
            AND decided.series_instance_uid = series_index.series_instance_uid
    WHERE series_index.present
)
SELECT bucket, reason, count(*) AS series
FROM placed
GROUP BY ALL
ORDER BY ALL;
