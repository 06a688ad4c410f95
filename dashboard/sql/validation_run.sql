-- What does one comparison rest on, and has anything come in since?
-- One row. Parameter: run_id.
SELECT
    validation_run.*,
    coalesce(model.name, left(validation_run.checkpoint_sha256, 12)) AS checkpoint,
    coalesce(model.active, false) AS active,
    (SELECT name FROM model WHERE active) AS active_checkpoint,
    coalesce((SELECT max(read_at) FROM outcome) > validation_run.validated_at, false) AS read_since,
    coalesce((SELECT max(imported_at) FROM dxa) > validation_run.validated_at, false) AS imported_since
FROM validation_run
LEFT JOIN model USING (checkpoint_sha256)
WHERE validation_run.run_id = $run_id;
