-- What are T-scores held against?
SELECT reference, mean_g_cm2, sd_g_cm2, manufacturer, levels, source, verified
FROM reference_population
ORDER BY reference;
