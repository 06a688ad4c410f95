-- Take over the decisions of the file of reviews that are not known yet; answers their count.
INSERT INTO review_event
BY NAME SELECT folded.* FROM folded ANTI JOIN review_event USING (event_id);
