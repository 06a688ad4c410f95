-- Whose study is it that the address names?
-- By its key, which tells nobody who it is. Parameter: study.
SELECT patient_id, study_key, study_instance_uid FROM study WHERE study_key = $study LIMIT 1;
