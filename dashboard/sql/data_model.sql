-- Which checkpoint do the views show, and what is on record of it?
SELECT name, checkpoint_sha256, data_kind, reference, parent_sha256, registered_at, metrics
FROM model
WHERE active;
