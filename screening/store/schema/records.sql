-- What the hospital already knows: written by the importers.

CREATE TABLE IF NOT EXISTS dxa (
    patient_id             VARCHAR NOT NULL,
    dxa_date               DATE NOT NULL,
    region                 VARCHAR NOT NULL,
    bmd_dxa                DOUBLE CHECK (bmd_dxa BETWEEN 0.2 AND 2.5),
    t_score                DOUBLE CHECK (t_score BETWEEN -8 AND 8),
    manufacturer           VARCHAR NOT NULL,
    source_file            VARCHAR NOT NULL,
    imported_at            TIMESTAMP NOT NULL,
    PRIMARY KEY (patient_id, dxa_date, region, manufacturer),
    CHECK (region IN ('L1-L4', 'L2-L4', 'L1', 'L2', 'L3', 'L4', 'total_hip', 'femoral_neck')),
    CHECK (bmd_dxa IS NOT NULL OR t_score IS NOT NULL)
);
COMMENT ON TABLE dxa IS 'One row a DXA result of a patient, date and region.';
COMMENT ON COLUMN dxa.patient_id IS 'The patient, as in table patient.';
COMMENT ON COLUMN dxa.dxa_date IS 'Date of the measurement.';
COMMENT ON COLUMN dxa.region IS 'L1-L4, L2-L4, one of L1, L2, L3, L4 alone, total_hip or femoral_neck.';
COMMENT ON COLUMN dxa.bmd_dxa IS 'Areal BMD on the scale of its manufacturer, g/cm2.';
COMMENT ON COLUMN dxa.t_score IS 'T-score as reported, 1.';
COMMENT ON COLUMN dxa.manufacturer IS 'Manufacturer of the densitometer, whose scale bmd_dxa is on; empty where not given.';
COMMENT ON COLUMN dxa.source_file IS 'Name of the imported file.';
COMMENT ON COLUMN dxa.imported_at IS 'When it was imported, UTC.';

CREATE TABLE IF NOT EXISTS rejected_record (
    record_digest          VARCHAR PRIMARY KEY,
    source_file            VARCHAR NOT NULL,
    row_number             BIGINT NOT NULL CHECK (row_number >= 1),
    reason                 VARCHAR NOT NULL,
    record                 VARCHAR NOT NULL,
    rejected_at            TIMESTAMP NOT NULL
);
COMMENT ON TABLE rejected_record IS 'Every imported row that was refused, verbatim, with the reason.';
COMMENT ON COLUMN rejected_record.record_digest IS 'SHA-256 of the record and its file name: a second import adds nothing.';
COMMENT ON COLUMN rejected_record.source_file IS 'Name of the imported file.';
COMMENT ON COLUMN rejected_record.row_number IS 'Line of the record in the file, the header being line 1.';
COMMENT ON COLUMN rejected_record.reason IS 'Column and rule that refused it.';
COMMENT ON COLUMN rejected_record.record IS 'The record as JSON, verbatim.';
COMMENT ON COLUMN rejected_record.rejected_at IS 'When it was refused, UTC.';

CREATE TABLE IF NOT EXISTS patient_context (
    patient_id             VARCHAR NOT NULL,
    fact                   VARCHAR NOT NULL CHECK (fact IN ('diagnosis', 'treatment', 'death', 'opt_out')),
    holds                  BOOLEAN NOT NULL,
    since_date             DATE,
    recorded_on            DATE,
    source_file            VARCHAR NOT NULL,
    imported_at            TIMESTAMP NOT NULL,
    PRIMARY KEY (patient_id, fact)
);
COMMENT ON TABLE patient_context IS 'What is known of a patient beside images and DXA: one row a fact, as it was recorded last.';
COMMENT ON COLUMN patient_context.patient_id IS 'The patient, as in table patient.';
COMMENT ON COLUMN patient_context.fact IS 'diagnosis (osteoporosis is known), treatment (of osteoporosis), death, or opt_out (from this audit).';
COMMENT ON COLUMN patient_context.holds IS 'Whether the fact holds, by the newest record; at a tie that it holds counts.';
COMMENT ON COLUMN patient_context.since_date IS 'Since when it holds, or date of death; NULL where not given.';
COMMENT ON COLUMN patient_context.recorded_on IS 'When the source recorded it; NULL where not given.';
COMMENT ON COLUMN patient_context.source_file IS 'Name of the imported file.';
COMMENT ON COLUMN patient_context.imported_at IS 'When it was imported, UTC.';
