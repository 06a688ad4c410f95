-- How does the trabecular attenuation of L1 fall with age, in women and men?
-- HU as acquired, so at 120 kVp and without contrast alone; Jang 2019 found 226 HU under 30 years, 89 HU from 90 on.
SELECT
    10 * (study.age_years // 10) AS age_from_years,
    study.sex,
    count(*) AS study_count,
    avg(vertebra.attenuation_hu) AS mean_hu,
    stddev_samp(vertebra.attenuation_hu) AS sd_hu
FROM vertebra
JOIN study_bmd USING (study_key)
JOIN study USING (study_key)
WHERE vertebra.level = 'L1' AND vertebra.used AND study.kvp_kv = 120 AND NOT study_bmd.contrast_enhanced
GROUP BY ALL
ORDER BY ALL;
