-- Which files are not indexed, by reason?
SELECT reason, count(*) AS files FROM file_problem GROUP BY ALL ORDER BY files DESC, reason;
