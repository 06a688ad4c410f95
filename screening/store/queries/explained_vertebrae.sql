-- What was read in every body of a study? Cranial first. Parameters: study_instance_uid, checkpoint_sha256.
SELECT * FROM vertebra WHERE study_instance_uid = ? AND checkpoint_sha256 = ? ORDER BY centre_z_mm DESC;
