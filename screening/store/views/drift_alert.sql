-- Which scanner reads otherwise than it did at first?
-- Alerts of the last screening drift, newest month first, the largest shift for its errors first.
CREATE OR REPLACE VIEW drift_alert AS
SELECT * EXCLUDE (state)
FROM drift_metric
WHERE state = 'alert'
ORDER BY month DESC, abs(z) DESC, scanner, metric;
COMMENT ON COLUMN drift_alert.month IS 'First day of the month of the CT.';
COMMENT ON COLUMN drift_alert.scanner IS 'Manufacturer / model / station / institution, as in the view study_scanner.';
COMMENT ON COLUMN drift_alert.metric IS 'What shifted, as in table drift_metric.';
COMMENT ON COLUMN drift_alert.n IS 'Studies of the month, count.';
