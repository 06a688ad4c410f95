-- In which bucket the known files are; every file is in exactly one.
-- Parameters: a study is still arriving while the time of its newest file, ns, is after $after_ns and not after $until_ns.
WITH study_files AS (
    SELECT
        study_instance_uid,
        sum(instance_count) AS instance_count,
        sum(copy_count) AS copy_count,
        max(newest_mtime_ns) > $after_ns AND max(newest_mtime_ns) <= $until_ns AS arriving
    FROM series_index
    WHERE present
    GROUP BY study_instance_uid
)

SELECT 'indexed' AS bucket, coalesce(sum(instance_count), 0)::BIGINT AS files FROM study_files WHERE NOT arriving
UNION ALL
SELECT 'duplicate', coalesce(sum(copy_count), 0)::BIGINT FROM study_files WHERE NOT arriving
UNION ALL
SELECT 'settling', coalesce(sum(instance_count + copy_count), 0)::BIGINT FROM study_files WHERE arriving
UNION ALL
SELECT if(mtime_ns > $after_ns AND mtime_ns <= $until_ns, 'settling', reason), count(*)
FROM file_problem
GROUP BY ALL;
