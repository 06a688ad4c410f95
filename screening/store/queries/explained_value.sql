-- What value did a study give? No row where it was not measured. Parameters: study_instance_uid, checkpoint_sha256.
SELECT * FROM study_bmd WHERE study_instance_uid = ? AND checkpoint_sha256 = ?;
