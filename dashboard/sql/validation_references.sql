-- Against which reference populations may a T-score be taken here?
SELECT reference AS name, mean_g_cm2, sd_g_cm2, source, verified, manufacturer, levels
FROM reference_population
ORDER BY reference;
