-- What is the whole list that is asked for, as a file?
-- Units in the names of the columns.
SELECT
    position,
    patient_id,
    sex,
    age_years AS age_at_ct_years,
    study_date,
    months_since_ct,
    bmd_cnn AS bmd_cnn_g_cm2,
    bmd_low AS bmd_interval_90_low_g_cm2,
    bmd_high AS bmd_interval_90_high_g_cm2,
    t_score,
    100 * osteoporosis_probability AS osteoporosis_probability_percent,
    band,
    last_dxa_date,
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
    as_of_date
FROM worklist_asked
ORDER BY position;
