-- A hospital of $patients patients with three DXA rows a patient on average, made of hashes: the same in every run.
-- Ages 18 to 95, a second CT for three in ten, a DXA for four in ten, one in twelve under the cut.
BEGIN;

INSERT INTO model (checkpoint_sha256, name, data_kind, metrics, active, registered_at)
SELECT $checkpoint, 'synthetic', 'simulated', '{}', true, TIMESTAMP '2025-01-01';

INSERT INTO patient (patient_id, identified)
SELECT printf('P%07d', number), hash(number, 'identified') % 200 > 0 FROM range($patients) AS all_patients(number);

CREATE TEMP TABLE visit AS
SELECT
    number,
    visit,
    printf('P%07d', number) AS patient_id,
    printf('1.2.826.0.1.3680043.8.498.%d.%d', number, visit) AS study_instance_uid,
    DATE '2019-01-01' + (hash(number, visit, 'day') % 2500)::INTEGER AS study_date,
    18 + (hash(number, 'age') % 7700) / 100.0 AS age_years,
    CASE WHEN hash(number, 'sex') % 2 = 0 THEN 'F' ELSE 'M' END AS sex,
    hash(number, visit, 'scanner') % 8 AS scanner,
    -- Sum of four uniform deviates: near enough to a normal T-score of mean -1.0 and SD 1.15.
    2 * (
        hash(number, visit, 1) % 1000 + hash(number, 2) % 1000 + hash(number, 3) % 1000 + hash(number, 4) % 1000
    ) / 1000.0 - 5.0 AS t_score
FROM range($patients) AS all_patients(number)
CROSS JOIN range(2) AS visits(visit)
WHERE visit = 0 OR hash(number, 'second') % 10 < 3;

INSERT INTO study (
    study_instance_uid, patient_id, study_key, study_date, age_years, sex, birth_date, issuer_of_patient_id,
    accession_number, study_description, institution_name, series_count, instance_count, fingerprint
)
SELECT
    study_instance_uid,
    patient_id,
    md5(study_instance_uid)[:16],
    study_date,
    age_years,
    sex,
    DATE '2020-01-01' - (365.25 * age_years)::INTEGER,
    '',
    printf('A%d', hash(study_instance_uid) % 100000000),
    'CT ABDOMEN',
    CASE WHEN scanner < 5 THEN 'North' ELSE 'South' END,
    2,
    180,
    md5(study_instance_uid)
FROM visit;

INSERT INTO series (
    study_instance_uid, series_instance_uid, modality, series_description, manufacturer, manufacturer_model_name,
    kvp_kv, convolution_kernel, slice_thickness_mm, instance_count, air_hu, fat_hu, muscle_hu, chosen, reason, detail
)
SELECT
    study_instance_uid,
    study_instance_uid || '.1',
    'CT',
    'AXIAL',
    CASE WHEN scanner % 2 = 0 THEN 'SIEMENS' ELSE 'GE MEDICAL SYSTEMS' END,
    printf('Model %d', scanner),
    CASE WHEN scanner % 4 = 0 THEN 100 ELSE 120 END,
    'B30f',
    CASE WHEN scanner % 3 = 0 THEN 5.0 ELSE 2.5 END,
    90,
    -998 + hash(study_instance_uid, 'air') % 5,
    -105 + hash(study_instance_uid, 'fat') % 11,
    48 + hash(study_instance_uid, 'muscle') % 11,
    hash(number, visit, 'measured') % 10 > 0,
    CASE WHEN hash(number, visit, 'measured') % 10 > 0 THEN NULL ELSE 'contrast' END,
    ''
FROM visit;

INSERT INTO outcome (
    study_instance_uid, checkpoint_sha256, sweep_id, status, reason, detail, stage, reading_fingerprint, read_seconds,
    read_at
)
SELECT
    study_instance_uid,
    $checkpoint,
    1,
    CASE WHEN hash(number, visit, 'measured') % 10 > 0 THEN 'measured' ELSE 'excluded' END,
    CASE WHEN hash(number, visit, 'measured') % 10 > 0 THEN NULL ELSE 'contrast' END,
    '',
    NULL,
    'f',
    1.5,
    TIMESTAMP '2025-11-30 02:00:00'
FROM visit;

INSERT INTO study_bmd (
    study_instance_uid, checkpoint_sha256, patient_id, bmd_cnn, bmd_low, bmd_high, level_count, levels, attenuation_hu,
    reference, reference_mean, reference_sd, osteoporosis_rule, t_score, yam_percent, category,
    osteoporosis_probability, band, level_certainty, contrast_enhanced, readers_disagree, warnings, evidence_file
)
SELECT
    study_instance_uid,
    $checkpoint,
    patient_id,
    1.047 + 0.11 * t_score AS bmd,
    bmd - 0.11,
    bmd + 0.11,
    4,
    ['L1', 'L2', 'L3', 'L4'],
    180 + 35 * t_score,
    'hologic_l1_l4_female',
    1.047,
    0.110,
    't_score',
    t_score,
    100 * bmd / 1.047,
    CASE
        WHEN age_years < 50 THEN NULL
        WHEN t_score <= -2.5 THEN 'osteoporosis'
        WHEN t_score < -1 THEN 'osteopenia'
        ELSE 'normal'
    END,
    1 / (1 + exp(2.7 * (t_score + 2.5))),
    CASE WHEN t_score <= -2.5 THEN 'likely' WHEN t_score <= -1.5 THEN 'indeterminate' ELSE 'not_flagged' END,
    'certain',
    false,
    false,
    [],
    md5(study_instance_uid)[:16] || '-00000000.png'
FROM visit
WHERE hash(number, visit, 'measured') % 10 > 0;

COMMIT;
