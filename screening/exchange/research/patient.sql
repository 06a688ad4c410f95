CREATE TABLE research.patient (
    patient_key            VARCHAR NOT NULL,
    identified             BOOLEAN NOT NULL,
    identity_conflict      BOOLEAN NOT NULL,
    sex                    VARCHAR CHECK (sex IN ('F', 'M', 'O')),
    diagnosed              BOOLEAN,
    treated                BOOLEAN,
    dead                   BOOLEAN
);
COMMENT ON TABLE research.patient IS 'One row a patient of the archive, those apart who have opted out: they are in no table of rows a patient or study.';
COMMENT ON COLUMN research.patient.patient_key IS 'Keyed digest (HMAC-SHA-256) that stands for the patient; only the site can make it.';
COMMENT ON COLUMN research.patient.identified IS 'Whether PatientID came from the header; without one no DXA can be matched.';
COMMENT ON COLUMN research.patient.identity_conflict IS 'Studies under this patient disagree in sex, birth date or issuer: they may be of different people.';
COMMENT ON COLUMN research.patient.sex IS 'PatientSex (0010,0040) of the newest study that states it.';
COMMENT ON COLUMN research.patient.diagnosed IS 'Diagnosis of osteoporosis on record; NULL where no diagnoses were imported.';
COMMENT ON COLUMN research.patient.treated IS 'Treatment of osteoporosis on record; NULL where no treatments were imported.';
COMMENT ON COLUMN research.patient.dead IS 'Death on record; NULL where no deaths were imported.';
INSERT INTO research.patient
WITH imported AS (
    SELECT list(DISTINCT fact) AS facts FROM patient_context
),
known AS (
    SELECT
        patient_id,
        bool_or(fact = 'diagnosis') AS diagnosed,
        bool_or(fact = 'treatment') AS treated,
        bool_or(fact = 'death') AS dead
    FROM patient_context
    WHERE holds
    GROUP BY patient_id
)
SELECT
    key_of_patient(patient_id) AS patient_key,
    person.identified,
    person.identity_conflict,
    person.sex,
    CASE WHEN list_contains(imported.facts, 'diagnosis') THEN coalesce(known.diagnosed, false) END,
    CASE WHEN list_contains(imported.facts, 'treatment') THEN coalesce(known.treated, false) END,
    CASE WHEN list_contains(imported.facts, 'death') THEN coalesce(known.dead, false) END
FROM person
CROSS JOIN imported
LEFT JOIN known USING (patient_id)
ANTI JOIN opted_out USING (patient_id)
ORDER BY patient_key;
ALTER TABLE research.patient ADD PRIMARY KEY (patient_key);
