-- Where do the bodies of a measured study lie, and what was read in them?
-- Parameters: study_instance_uid, checkpoint_sha256.
SELECT
    series_instance_uid,
    acquisition,
    level,
    centre_x_mm,
    centre_y_mm,
    centre_z_mm,
    upper_z_mm,
    lower_z_mm,
    confidence,
    used,
    attenuation_hu,
    body_depth_mm
FROM vertebra
WHERE study_instance_uid = $study_instance_uid AND checkpoint_sha256 = $checkpoint_sha256
ORDER BY upper_z_mm DESC;
