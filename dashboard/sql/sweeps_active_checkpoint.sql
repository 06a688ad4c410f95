-- Which checkpoint's results does this publication show?
SELECT name, checkpoint_sha256 FROM model WHERE active;
