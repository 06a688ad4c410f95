-- The worklist in its own order, narrowed by sex, age in completed years, and a part of the patient ID.
-- Parameters: sexes (VARCHAR[]; 'unknown' stands for no PatientSex), youngest_years, oldest_years, search.
SELECT
    position,
    patient_id,
    coalesce(sex, 'unknown') AS sex,
    floor(age_years)::INTEGER AS age_years,
    study_date,
    months_since_ct,
    bmd_cnn AS bmd_cnn_g_cm2,
    printf('%.3f – %.3f', bmd_low, bmd_high) AS bmd_interval_90_g_cm2,
    t_score,
    100 * osteoporosis_probability AS osteoporosis_probability_percent,
    coalesce(strftime(last_dxa_date, '%Y-%m-%d'), 'No DXA on record') AS last_dxa,
    attenuation_hu,
    array_to_string(levels, ' ') AS levels,
    array_to_string(warnings, '; ') AS warnings,
    institution_name,
    accession_number,
    reference,
    data_kind,
    study_instance_uid
FROM worklist
WHERE open
    AND list_contains($sexes, coalesce(sex, 'unknown'))
    AND floor(age_years) BETWEEN $youngest_years AND $oldest_years
    AND contains(lower(patient_id), lower($search))
ORDER BY position;
