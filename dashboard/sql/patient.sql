-- Who is this, and what does the worklist say of the patient?
-- One row, or none when the archive holds no such patient. Parameter: patient_id.
SELECT
    person.patient_id,
    person.identified,
    person.sex,
    person.birth_date,
    patient_bmd.study_instance_uid AS latest_measured_uid,
    coalesce(care_gap.flagged, false) AS flagged,
    patient_bmd.patient_id IS NOT NULL AS measured,
    worklist.position,
    worklist.months_since_ct
FROM person
LEFT JOIN patient_bmd USING (patient_id)
LEFT JOIN care_gap USING (patient_id)
LEFT JOIN worklist USING (patient_id)
WHERE person.patient_id = $patient_id;
