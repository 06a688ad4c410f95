-- How did the studies end, by reason, under the active checkpoint?
SELECT status, coalesce(reason, '') AS reason, coalesce(stage, '') AS stage, count(*) AS studies
FROM outcome
JOIN model USING (checkpoint_sha256)
WHERE model.active
GROUP BY ALL
ORDER BY studies DESC, reason;
