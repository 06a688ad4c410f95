-- What does one page of the list that is asked for look like?
-- In the order in which to look. The bar is a picture of the 90 % interval from 0.3 to 1.3 g/cm2, with the border of osteoporosis as a
-- dashed line. Parameters: row_limit, first_row (from 0).
SELECT
    position,
    patient_id,
    sex,
    age_years,
    study_date,
    months_since_ct,
    bmd_cnn AS bmd_cnn_g_cm2,
    printf(
        'data:image/svg+xml;utf8,<svg xmlns=%%22http://www.w3.org/2000/svg%%22 width=%%22140%%22 height=%%2224%%22>'
        || '<path d=%%22M0 12H140%%22 stroke=%%22%%237F8A93%%22 stroke-opacity=%%220.4%%22/>'
        || '<path d=%%22M%.1f 1V23%%22 stroke=%%22%%23D55E00%%22 stroke-width=%%222%%22 stroke-dasharray=%%223 2%%22/>'
        || '<path d=%%22M%.1f 12H%.1f%%22 stroke=%%22%%230072B2%%22 stroke-width=%%224%%22/>'
        || '<circle cx=%%22%.1f%%22 cy=%%2212%%22 r=%%225%%22 fill=%%22%%230072B2%%22 stroke=%%22white%%22/></svg>',
        140 * (coalesce(osteoporosis_g_cm2, -1) - 0.3),
        140 * (bmd_low - 0.3),
        140 * (bmd_high - 0.3),
        140 * (bmd_cnn - 0.3)
    ) AS interval_bar,
    printf('%.3f – %.3f', bmd_low, bmd_high) AS bmd_interval_90_g_cm2,
    t_score,
    100 * osteoporosis_probability AS osteoporosis_probability_percent,
    coalesce(strftime(last_dxa_date, '%Y-%m-%d'), 'No DXA on record') AS last_dxa,
    state,
    defer_until,
    reviewer,
    attenuation_hu,
    array_to_string(levels, ' ') AS levels,
    array_to_string(possible_fracture_levels, ' ') AS possible_fracture,
    array_to_string(warnings, '; ') AS warnings,
    institution_name,
    accession_number,
    reference,
    data_kind,
    study_key
FROM worklist_asked
ORDER BY position
LIMIT $row_limit OFFSET $first_row;
