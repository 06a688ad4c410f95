-- What was read in each vertebra of a patient's newest study?
SELECT
    level,
    round(vertebra.attenuation_hu)::INTEGER AS "trabecular HU",
    round(attended_hu)::INTEGER AS "HU the CNN attended",
    round(body_depth_mm, 1) AS "depth mm",
    round(vertebra.bmd_cnn, 3) AS "BMD_CNN g/cm2",
    round(confidence, 2) AS confidence,
    coalesce(reason, 'used') AS used
FROM vertebra
JOIN patient_bmd USING (study_instance_uid, checkpoint_sha256)
WHERE patient_bmd.patient_id = ?
ORDER BY centre_z_mm DESC;
