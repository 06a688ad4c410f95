-- Is the care gap closing, month by month?
-- One row a CT month and sex, each CT counted once: measured, likely, ever flagged, and of those flagged what became of
-- them within 12 weeks, the time in which IOF, FFN and NOF ask fracture liaison services for a DXA (KPI 4, 2020). Who
-- was flagged less than 12 weeks ago and has no DXA yet is not due and in no share.
CREATE OR REPLACE VIEW care_gap_month AS
WITH latest AS (
    SELECT as_of_date FROM publication ORDER BY publication_id DESC LIMIT 1
),
-- Of each flag, the first DXA since the CT; one before the flag was on record too late to prevent it.
followed AS (
    SELECT
        flag_event.study_instance_uid,
        flag_event.flagged_on,
        min(dxa.dxa_date) FILTER (dxa.dxa_date >= flag_event.flagged_on) AS next_dxa_date,
        count(*) FILTER (dxa.dxa_date < flag_event.flagged_on AND dxa.dxa_date >= study.study_date) > 0
            AS had_dxa_already
    FROM flag_event
    JOIN study USING (study_instance_uid)
    LEFT JOIN dxa ON dxa.patient_id = flag_event.patient_id
    GROUP BY ALL
),
judged AS (
    SELECT
        study_instance_uid,
        had_dxa_already,
        NOT had_dxa_already AND coalesce(next_dxa_date <= flagged_on + 84, false) AS dxa_within_12_weeks,
        NOT had_dxa_already AND NOT dxa_within_12_weeks AND latest.as_of_date <= flagged_on + 84 AS not_yet_due
    FROM followed
    CROSS JOIN latest
)
SELECT
    date_trunc('month', study.study_date)::DATE AS ct_month,
    study.sex,
    count(measured_study.study_instance_uid) AS measured_count,
    count(*) FILTER (measured_study.band = 'likely') AS likely_count,
    count(judged.study_instance_uid) AS flagged_count,
    count(*) FILTER (judged.had_dxa_already) AS had_dxa_already_count,
    count(*) FILTER (judged.dxa_within_12_weeks) AS dxa_within_12_weeks_count,
    count(*) FILTER (judged.not_yet_due) AS not_yet_due_count,
    likely_count / nullif(measured_count, 0) AS likely_share,
    flagged_count / nullif(measured_count, 0) AS flagged_share,
    dxa_within_12_weeks_count / nullif(flagged_count - had_dxa_already_count - not_yet_due_count, 0)
        AS dxa_within_12_weeks_share
FROM study
LEFT JOIN measured_study USING (study_instance_uid)
LEFT JOIN judged USING (study_instance_uid)
WHERE measured_study.study_instance_uid IS NOT NULL OR judged.study_instance_uid IS NOT NULL
GROUP BY ct_month, study.sex
ORDER BY ct_month, study.sex;
COMMENT ON COLUMN care_gap_month.ct_month IS 'First day of the month of the CT; NULL where its date is not known.';
COMMENT ON COLUMN care_gap_month.sex IS 'PatientSex (0010,0040) of the study; NULL where absent.';
COMMENT ON COLUMN care_gap_month.measured_count IS 'Studies that the active checkpoint measured, count.';
COMMENT ON COLUMN care_gap_month.likely_count IS 'Of these: band likely, count.';
COMMENT ON COLUMN care_gap_month.flagged_count IS 'Studies whose patient was ever flagged by them (flag_event), count.';
COMMENT ON COLUMN care_gap_month.had_dxa_already_count IS 'Of the flagged: a central DXA between CT and flag, on record only later, count; in no share.';
COMMENT ON COLUMN care_gap_month.dxa_within_12_weeks_count IS 'Of the flagged: a central DXA from the day of the flag to 84 days after it, count.';
COMMENT ON COLUMN care_gap_month.not_yet_due_count IS 'Of the flagged: no such DXA, and the 84 days are not over on publication.as_of_date, count; in no share.';
COMMENT ON COLUMN care_gap_month.likely_share IS 'likely_count / measured_count, 1; NULL where none was measured.';
COMMENT ON COLUMN care_gap_month.flagged_share IS 'flagged_count / measured_count, 1; NULL where none was measured.';
COMMENT ON COLUMN care_gap_month.dxa_within_12_weeks_share IS 'dxa_within_12_weeks_count of the flagged who are due and had no DXA already, 1; NULL where none is due.';
