-- Which CT can be held against a DXA?
-- Every patient with a measured study and a DXA of L1-L4 no more than publication.validation_window_days away from it:
-- the nearest pair, one a patient.
CREATE OR REPLACE VIEW validation_pair AS
WITH latest AS (
    SELECT validation_window_days FROM publication ORDER BY publication_id DESC LIMIT 1
)
SELECT ct_dxa_pair.*
FROM ct_dxa_pair
CROSS JOIN latest
WHERE abs(ct_dxa_pair.days_to_dxa) <= latest.validation_window_days;
COMMENT ON COLUMN validation_pair.days_to_dxa IS 'Days from the CT to the DXA; negative when the DXA came first.';
COMMENT ON COLUMN validation_pair.bmd_cnn IS 'Areal BMD estimated by BMD_CNN: mean of the usable levels L1 to L4, g/cm2. Not a DXA.';
COMMENT ON COLUMN validation_pair.t_score_dxa IS 'T-score as the DXA report states it, 1; NULL where it does not.';
COMMENT ON COLUMN validation_pair.checkpoint_sha256 IS 'SHA-256 of the checkpoint that estimated bmd_cnn, see table model.';
COMMENT ON COLUMN validation_pair.manufacturer IS 'Manufacturer of the densitometer, whose scale bmd_dxa is on.';
