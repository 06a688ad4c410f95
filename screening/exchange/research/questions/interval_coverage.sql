-- How often does the 90 % interval of BMD_CNN hold the areal BMD of the DXA?
-- It promises 0.9 on the scale that the checkpoint was calibrated on; on another it cannot keep that.
SELECT
    manufacturer AS densitometer,
    count(*) AS pair_count,
    avg((bmd_dxa BETWEEN bmd_low AND bmd_high)::INTEGER) AS covered_share,
    avg(bmd_high - bmd_low) AS mean_width_g_cm2
FROM ct_dxa_pair
WHERE within_window AND bmd_dxa IS NOT NULL
GROUP BY manufacturer
ORDER BY manufacturer;
