-- Which CT of a patient lies nearest to which DXA of L1-L4?
-- One row a patient with a measured study and such a DXA, however many days lie between them; who uses it sets a limit.
-- A DXA on which reports of one day contradict each other is not used; of two on one day the one with a BMD counts.
CREATE OR REPLACE VIEW ct_dxa_pair AS
SELECT
    study_bmd.patient_id,
    study_bmd.study_instance_uid,
    study.study_date,
    dxa.dxa_date,
    date_diff('day', study.study_date, dxa.dxa_date) AS days_to_dxa,
    study_bmd.bmd_cnn,
    study_bmd.bmd_low,
    study_bmd.bmd_high,
    dxa.bmd_dxa,
    dxa.t_score AS t_score_dxa,
    dxa.manufacturer,
    study_bmd.checkpoint_sha256,
    model.data_kind
FROM study_bmd
JOIN study USING (study_instance_uid)
JOIN model USING (checkpoint_sha256)
JOIN dxa ON dxa.patient_id = study_bmd.patient_id
WHERE model.active
    AND dxa.region = 'L1-L4'
    AND NOT dxa.conflict
    AND (dxa.bmd_dxa IS NOT NULL OR dxa.t_score IS NOT NULL)
    AND study.study_date IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY study_bmd.patient_id
    ORDER BY abs(days_to_dxa), dxa.bmd_dxa IS NULL, study_bmd.study_instance_uid, dxa.dxa_date, dxa.manufacturer
) = 1;
COMMENT ON COLUMN ct_dxa_pair.days_to_dxa IS 'Days from the CT to the DXA; negative when the DXA came first.';
COMMENT ON COLUMN ct_dxa_pair.bmd_cnn IS 'Areal BMD estimated by BMD_CNN: mean of the usable levels L1 to L4, g/cm2. Not a DXA.';
COMMENT ON COLUMN ct_dxa_pair.t_score_dxa IS 'T-score as the DXA report states it, 1; NULL where it does not.';
COMMENT ON COLUMN ct_dxa_pair.checkpoint_sha256 IS 'SHA-256 of the checkpoint that estimated bmd_cnn, see table model.';
COMMENT ON COLUMN ct_dxa_pair.manufacturer IS 'Manufacturer of the densitometer, whose scale bmd_dxa is on.';
