-- What was decided about every series of a study? The chosen one last. Parameter: study_instance_uid.
SELECT * FROM series WHERE study_instance_uid = ? ORDER BY chosen, series_instance_uid, acquisition;
