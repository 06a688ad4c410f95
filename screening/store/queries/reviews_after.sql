-- Which decisions were made since, in their order?
-- Parameter: after (number of the last one that is known).
SELECT * FROM review_event WHERE event_id > $after ORDER BY event_id;
