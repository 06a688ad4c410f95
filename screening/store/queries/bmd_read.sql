-- What did a checkpoint read in each study, g/cm2?
-- Parameter: checkpoint_sha256.
SELECT study_instance_uid, bmd_cnn AS bmd FROM study_bmd WHERE checkpoint_sha256 = $checkpoint_sha256;
