-- Who is flagged?
SELECT
    position AS "#",
    patient_id AS patient,
    sex,
    floor(age_years)::INTEGER AS age,
    study_date AS "CT",
    round(bmd_cnn, 3) AS "BMD_CNN g/cm2",
    round(t_score, 1) AS "T-score",
    round(osteoporosis_probability, 2) AS "P(T <= -2.5)"
FROM worklist
WHERE open
ORDER BY position;
