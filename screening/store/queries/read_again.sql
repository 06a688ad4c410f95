-- Have studies read again whose levels would be judged otherwise; each result stays until the new one takes its place.
UPDATE outcome SET reading_fingerprint = ''
FROM unread
WHERE outcome.study_instance_uid = unread.study_instance_uid
    AND outcome.checkpoint_sha256 = unread.checkpoint_sha256;
