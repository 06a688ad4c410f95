-- What people decided about patients on the list: written by whoever reviews, folded in at publication.

CREATE TABLE IF NOT EXISTS review_event (
    event_id               BIGINT PRIMARY KEY CHECK (event_id >= 1),
    patient_id             VARCHAR NOT NULL,
    study_instance_uid     VARCHAR NOT NULL,
    action                 VARCHAR NOT NULL,
    defer_until            DATE,
    comment                VARCHAR NOT NULL,
    reviewer               VARCHAR NOT NULL CHECK (length(reviewer) > 0),
    made_at                TIMESTAMP NOT NULL,
    seen_event_id          BIGINT CHECK (seen_event_id < event_id),
    CHECK (action IN ('order_dxa', 'already_known', 'not_evaluable', 'dismiss', 'defer', 'reopen')),
    CHECK ((action = 'defer') = (defer_until IS NOT NULL))
);
COMMENT ON TABLE review_event IS 'One row a decision of a reviewer; rows are added, never changed. The newest one about a study says where it stands.';
COMMENT ON COLUMN review_event.event_id IS 'Number of the decision, from 1, in the order in which they were made.';
COMMENT ON COLUMN review_event.patient_id IS 'The patient, as in table patient.';
COMMENT ON COLUMN review_event.study_instance_uid IS 'StudyInstanceUID (0020,000D) of the CT that was on the list; a newer CT is another matter.';
COMMENT ON COLUMN review_event.action IS 'order_dxa (a DXA was ordered), already_known (osteoporosis is known or treated), not_evaluable (the CT cannot be judged), dismiss (no DXA is wanted), defer (look again on defer_until), reopen (as if nothing had been decided).';
COMMENT ON COLUMN review_event.defer_until IS 'First day on which a deferred patient is open again; NULL for other actions.';
COMMENT ON COLUMN review_event.comment IS 'What the reviewer wrote; empty where nothing.';
COMMENT ON COLUMN review_event.reviewer IS 'Who decided, as the site names its people.';
COMMENT ON COLUMN review_event.made_at IS 'When it was decided, UTC.';
COMMENT ON COLUMN review_event.seen_event_id IS 'The newest decision about this study that the reviewer had seen; NULL where there was none.';
