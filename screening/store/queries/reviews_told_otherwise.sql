-- How many decisions carry the same number here and in the file of reviews, but say something else?
SELECT count(*)
FROM folded
JOIN review_event USING (event_id)
WHERE folded.patient_id <> review_event.patient_id
    OR folded.study_instance_uid <> review_event.study_instance_uid
    OR folded.action <> review_event.action
    OR folded.reviewer <> review_event.reviewer
    OR folded.made_at <> review_event.made_at;
