-- Which CT can be held against a DXA?
-- Every patient with a measured study and a DXA of L1-L4 within 180 days of it: the nearest pair, one a patient.
CREATE OR REPLACE VIEW validation_pair AS
SELECT * FROM ct_dxa_pair WHERE abs(days_to_dxa) <= 180;
COMMENT ON COLUMN validation_pair.days_to_dxa IS 'Days from the CT to the DXA; negative when the DXA came first.';
COMMENT ON COLUMN validation_pair.bmd_cnn IS 'Areal BMD estimated by BMD_CNN: mean of the usable levels L1 to L4, g/cm2. Not a DXA.';
COMMENT ON COLUMN validation_pair.checkpoint_sha256 IS 'SHA-256 of the checkpoint that estimated bmd_cnn, see table model.';
COMMENT ON COLUMN validation_pair.manufacturer IS 'Manufacturer of the densitometer, whose scale bmd_dxa is on.';
