-- Which series of the patient's studies were measured, and why not the others?
-- The measured one of each study first. Parameter: patient_id.
SELECT
    study.study_date,
    series.modality,
    nullif(series.series_description, '') AS series_description,
    nullif(series.acquisition, '') AS acquisition,
    series.instance_count,
    series.slice_thickness_mm,
    series.kvp_kv,
    nullif(series.convolution_kernel, '') AS convolution_kernel,
    series.chosen,
    series.reason,
    series.detail
FROM series
JOIN study USING (study_instance_uid)
WHERE study.patient_id = $patient_id
ORDER BY
    study.study_date DESC NULLS LAST,
    study.study_instance_uid,
    series.chosen DESC,
    series.series_instance_uid,
    series.acquisition;
