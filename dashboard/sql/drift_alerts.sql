-- Which scanner reads otherwise than it did at first, and since when?
-- One row a scanner and metric whose newest judged month, among the newest months that there are, is an alert; the
-- shift that stands out most first. Months that could not be judged do not end a run of alerts.
-- Parameter: newest_months (how many months count as the newest; the last one may have too few studies yet).
WITH newest AS (
    SELECT DISTINCT month FROM drift_metric ORDER BY month DESC LIMIT $newest_months
),
judged AS (
    SELECT * FROM drift_metric WHERE state IN ('alert', 'stable')
),
alert AS (
    SELECT *
    FROM judged
    WHERE month IN (SELECT month FROM newest)
    QUALIFY row_number() OVER (PARTITION BY scanner, metric ORDER BY month DESC) = 1 AND state = 'alert'
),
last_stable AS (
    SELECT scanner, metric, max(month) AS month FROM judged WHERE state = 'stable' GROUP BY ALL
),
since AS (
    SELECT judged.scanner, judged.metric, min(judged.month) AS since_month
    FROM judged
    LEFT JOIN last_stable USING (scanner, metric)
    WHERE judged.state = 'alert' AND (last_stable.month IS NULL OR judged.month > last_stable.month)
    GROUP BY ALL
)
SELECT
    alert.month,
    alert.scanner,
    alert.metric,
    alert.value,
    alert.baseline,
    alert.shift,
    alert.n,
    alert.months,
    alert.z,
    alert.z_limit,
    alert.material_shift,
    since.since_month
FROM alert
JOIN since USING (scanner, metric)
ORDER BY abs(alert.z) DESC, alert.scanner, alert.metric;
