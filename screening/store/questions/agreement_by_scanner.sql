-- How well does BMD_CNN agree with DXA on each scanner model?
-- A row a densitometer too, for their scales differ. Under 20 pairs a figure says little, so none is given.
SELECT
    trim(series.manufacturer || ' ' || series.manufacturer_model_name) AS scanner,
    pair.manufacturer AS densitometer,
    count(*) AS pair_count,
    CASE WHEN pair_count >= 20 THEN corr(pair.bmd_cnn, pair.bmd_dxa) END AS pearson_r,
    CASE WHEN pair_count >= 20 THEN avg(pair.bmd_cnn - pair.bmd_dxa) END AS bias_g_cm2,
    CASE WHEN pair_count >= 20 THEN avg(abs(pair.bmd_cnn - pair.bmd_dxa)) END AS mae_g_cm2
FROM validation_pair AS pair
JOIN series ON series.study_instance_uid = pair.study_instance_uid AND series.chosen
WHERE pair.bmd_dxa IS NOT NULL
GROUP BY scanner, densitometer
ORDER BY scanner, densitometer;
