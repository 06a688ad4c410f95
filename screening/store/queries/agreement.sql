-- How well does BMD_CNN agree with DXA? Pearson r, mean absolute error and bias in g/cm2.
SELECT
    count(*) AS pairs,
    CASE WHEN count(*) > 2 THEN round(corr(bmd_cnn, bmd_dxa), 3) END AS "Pearson r",
    round(avg(abs(bmd_cnn - bmd_dxa)), 3) AS "MAE g/cm2",
    round(avg(bmd_cnn - bmd_dxa), 3) AS "bias g/cm2",
    string_agg(DISTINCT data_kind, ', ') AS "trained on"
FROM validation_pair
WHERE bmd_dxa IS NOT NULL;
