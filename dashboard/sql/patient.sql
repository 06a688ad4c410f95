-- Who is this, and what does the worklist say of the patient?
-- One row, or none when the archive holds no such patient. Parameter: patient_id.
SELECT
    patient.patient_id,
    patient.identified,
    patient.sex,
    patient.birth_date,
    patient_bmd.study_instance_uid AS latest_measured_uid,
    coalesce(care_gap.flagged, false) AS flagged,
    patient_bmd.patient_id IS NOT NULL AS measured,
    worklist.position,
    worklist.months_since_ct
FROM patient
LEFT JOIN patient_bmd USING (patient_id)
LEFT JOIN care_gap USING (patient_id)
LEFT JOIN worklist USING (patient_id)
WHERE patient.patient_id = $patient_id;
