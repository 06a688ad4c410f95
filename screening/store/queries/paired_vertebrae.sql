-- Where do the bodies of a paired study lie, what was read in them, and what is the DXA of each?
-- The DXA of the level itself where the densitometer's report has one, else that of L1-L4. Parameter: study_instance_uid.
SELECT
    vertebra.series_instance_uid,
    vertebra.level,
    vertebra.centre_x_mm,
    vertebra.centre_y_mm,
    vertebra.centre_z_mm,
    vertebra.upper_z_mm,
    vertebra.lower_z_mm,
    vertebra.confidence,
    vertebra.used,
    vertebra.attenuation_hu,
    vertebra.body_depth_mm,
    coalesce(of_level.bmd_dxa, ct_dxa_pair.bmd_dxa) AS bmd_dxa
FROM ct_dxa_pair
JOIN vertebra USING (study_instance_uid, checkpoint_sha256)
LEFT JOIN dxa AS of_level
    ON of_level.patient_id = ct_dxa_pair.patient_id
    AND of_level.dxa_date = ct_dxa_pair.dxa_date
    AND of_level.manufacturer = ct_dxa_pair.manufacturer
    AND of_level.region = vertebra.level
WHERE ct_dxa_pair.study_instance_uid = $study_instance_uid
ORDER BY vertebra.upper_z_mm DESC;
