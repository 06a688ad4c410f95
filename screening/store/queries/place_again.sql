-- Enter where patients stand against the reference and rule in force. Parameters: reference, mean, sd, rule.
UPDATE study_bmd SET
    reference = $reference,
    reference_mean = $mean,
    reference_sd = $sd,
    osteoporosis_rule = $rule,
    t_score = placed.t_score,
    yam_percent = placed.yam_percent,
    z_score = CASE WHEN isfinite(placed.z_score) THEN placed.z_score END,
    category = nullif(placed.category, ''),
    z_category = nullif(placed.z_category, ''),
    osteoporosis_probability = placed.osteoporosis_probability,
    band = placed.band
FROM placed
WHERE study_bmd.study_instance_uid = placed.study_instance_uid
    AND study_bmd.checkpoint_sha256 = placed.checkpoint_sha256;
