-- Who was flagged in this publication?
SELECT patient_id, study_instance_uid FROM flagged;
