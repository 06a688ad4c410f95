-- How many studies reached a result, and where did the others stop?
-- The view exclusion_flow in its own order: the reasons before a stage, most frequent first, then the stage.
SELECT step, stage, reason, study_count
FROM exclusion_flow
ORDER BY step, reason IS NULL, study_count DESC, reason;
