-- What was read in each vertebral body of one study, and why is a body not used?
-- Cranial first. Parameter: study_instance_uid.
SELECT
    vertebra.level,
    vertebra.bmd_cnn,
    vertebra.bmd_sd,
    vertebra.attenuation_hu,
    vertebra.attenuation_sd_hu,
    vertebra.attended_hu,
    vertebra.body_depth_mm,
    vertebra.confidence,
    vertebra.used,
    vertebra.reason
FROM vertebra
JOIN model USING (checkpoint_sha256)
WHERE model.active AND vertebra.study_instance_uid = $study_instance_uid
ORDER BY vertebra.centre_z_mm DESC;
