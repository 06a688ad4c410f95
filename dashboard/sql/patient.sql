-- Who is this?
-- One row, or none when the archive holds no such patient. Parameter: patient_id.
SELECT
    person.patient_id,
    person.identified,
    person.identity_conflict,
    person.sex,
    person.birth_date,
    person.patient_id IN (
        SELECT study_bmd.patient_id
        FROM study_bmd
        JOIN model USING (checkpoint_sha256)
        WHERE model.active AND study_bmd.patient_id = $patient_id
    ) AS measured
FROM person
WHERE person.patient_id = $patient_id;
