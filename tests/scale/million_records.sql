-- What that hospital knows beside CT: DXA, facts about patients, decisions of reviewers.
-- A third of the patients have had DXA three times, each time of three regions.
BEGIN;

INSERT INTO dxa (patient_id, dxa_date, region, manufacturer, bmd_dxa, t_score, source_file, imported_at)
SELECT
    patient_id,
    DATE '2015-01-01' + (1300 * time + hash(number, time, 'dxa') % 1300)::INTEGER,
    region,
    CASE WHEN hash(number, 'densitometer') % 3 = 0 THEN 'GE' ELSE 'Hologic' END,
    round(greatest(1.047 + 0.11 * t_score + (hash(number, time, region) % 100)::INTEGER / 1000.0 - 0.05, 0.3), 3),
    round(greatest(t_score + (hash(number, time, region) % 100)::INTEGER / 110.0 - 0.45, -7), 1),
    'synthetic',
    TIMESTAMP '2025-11-30'
FROM visit
CROSS JOIN range(3) AS times(time)
CROSS JOIN (VALUES ('L1-L4'), ('total_hip'), ('femoral_neck')) AS regions(region)
WHERE visit = 0 AND hash(number, 'had dxa') % 3 = 0;

INSERT INTO patient_context (patient_id, fact, holds, since_date, recorded_on, source_file, imported_at)
SELECT
    patient_id,
    fact,
    hash(number, fact, 'holds') % 10 > 0,
    DATE '2020-01-01' + (hash(number, fact, 'since') % 2000)::INTEGER,
    DATE '2025-11-01',
    'synthetic',
    TIMESTAMP '2025-11-30'
FROM visit
CROSS JOIN (VALUES ('diagnosis', 12), ('treatment', 15), ('death', 10), ('opt_out', 200)) AS facts(fact, one_in)
WHERE visit = 0 AND hash(number, fact) % one_in = 0;

INSERT INTO review_event (
    event_id, patient_id, study_instance_uid, action, defer_until, comment, reviewer, made_at, seen_event_id
)
SELECT
    row_number() OVER (ORDER BY study_instance_uid) AS event_id,
    patient_id,
    study_instance_uid,
    ['order_dxa', 'already_known', 'not_evaluable', 'dismiss', 'defer', 'reopen'][1 + (hash(number, 'act') % 6)::INTEGER] AS act,
    CASE WHEN act = 'defer' THEN DATE '2025-10-01' + (hash(number, 'until') % 120)::INTEGER END,
    '',
    'reviewer',
    TIMESTAMP '2025-06-01',
    NULL
FROM visit
WHERE t_score <= -2.5 AND hash(number, 'reviewed') % 3 = 0;

COMMIT;
