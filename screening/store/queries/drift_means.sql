-- What is the mean of each metric of each scanner and month?
SELECT month, scanner, found.metric, found.mean, found.sd, found.n
FROM scanner_month
CROSS JOIN LATERAL (
    VALUES
        ('air_hu', air_hu, air_hu_sd, air_hu_count),
        ('fat_hu', fat_hu, fat_hu_sd, fat_hu_count),
        ('muscle_hu', muscle_hu, muscle_hu_sd, muscle_hu_count),
        ('soft_tissue_hu', soft_tissue_hu, soft_tissue_hu_sd, soft_tissue_hu_count),
        ('l1_hu', l1_hu, l1_hu_sd, l1_hu_count),
        ('bmd_cnn', bmd_cnn, bmd_cnn_sd, bmd_cnn_count)
) AS found (metric, mean, sd, n)
WHERE found.n > 1
ORDER BY ALL;
