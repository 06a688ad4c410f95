-- How do fits of a recalibration that leave a study out read it, g/cm2?
-- Parameter: checkpoint_sha256.
SELECT study_instance_uid, bmd_left_out AS bmd FROM recalibration_pair WHERE checkpoint_sha256 = $checkpoint_sha256;
