-- How well does BMD_CNN agree with DXA on each scanner?
-- A row a densitometer too, for their scales differ. Under 20 pairs a figure says little, so none is given.
SELECT
    study.scanner,
    scanner.maker,
    pair.manufacturer AS densitometer,
    count(*) AS pair_count,
    CASE WHEN pair_count >= 20 THEN corr(pair.bmd_cnn, pair.bmd_dxa) END AS pearson_r,
    CASE WHEN pair_count >= 20 THEN avg(pair.bmd_cnn - pair.bmd_dxa) END AS bias_g_cm2,
    CASE WHEN pair_count >= 20 THEN avg(abs(pair.bmd_cnn - pair.bmd_dxa)) END AS mae_g_cm2
FROM ct_dxa_pair AS pair
JOIN study USING (study_key)
JOIN scanner USING (scanner)
WHERE pair.within_window AND pair.bmd_dxa IS NOT NULL
GROUP BY study.scanner, scanner.maker, densitometer
ORDER BY study.scanner, densitometer;
