-- What the hospital already knows: written by the importers.

-- What a record says, not what is concluded from it: neither the patient it was matched to nor the common name of the
-- manufacturer. The unit separator keeps neighbouring texts apart.
CREATE OR REPLACE TEMP MACRO dxa_record_digest(
    issuer, identifier, dxa_date, region, manufacturer_text, bmd_dxa, t_score, z_score, status, issued_at
) AS md5(concat(
    issuer, chr(31), identifier, chr(31), dxa_date, chr(31), region, chr(31), manufacturer_text, chr(31),
    bmd_dxa, chr(31), t_score, chr(31), z_score, chr(31), status, chr(31), issued_at
))::UUID;

CREATE TABLE IF NOT EXISTS dxa_record (
    record_digest          UUID PRIMARY KEY,
    patient_id             VARCHAR NOT NULL,
    issuer                 VARCHAR NOT NULL,
    identifier             VARCHAR NOT NULL,
    dxa_date               DATE NOT NULL,
    region                 VARCHAR NOT NULL,
    manufacturer           VARCHAR NOT NULL,
    manufacturer_text      VARCHAR NOT NULL,
    bmd_dxa                DOUBLE CHECK (bmd_dxa BETWEEN 0.2 AND 2.5),
    t_score                DOUBLE CHECK (t_score BETWEEN -8 AND 8),
    z_score                DOUBLE CHECK (z_score BETWEEN -8 AND 8),
    status                 VARCHAR NOT NULL CHECK (status IN ('preliminary', 'final', 'corrected', 'withdrawn')),
    issued_at              TIMESTAMP,
    source_format          VARCHAR NOT NULL,
    source_file            VARCHAR NOT NULL,
    imported_at            TIMESTAMP NOT NULL
);
COMMENT ON TABLE dxa_record IS 'Every DXA record ever accepted, also those replaced or withdrawn since; table dxa follows from it.';
COMMENT ON COLUMN dxa_record.record_digest IS 'MD5 of what the record says: a second import adds nothing.';
COMMENT ON COLUMN dxa_record.patient_id IS 'The patient, as in table patient; found by issuer and identifier.';
COMMENT ON COLUMN dxa_record.issuer IS 'Who issued the identifier, as the record says; empty where it does not.';
COMMENT ON COLUMN dxa_record.identifier IS 'Identifier of the patient in the record.';
COMMENT ON COLUMN dxa_record.dxa_date IS 'Date of the measurement.';
COMMENT ON COLUMN dxa_record.region IS 'Region, as in table dxa.';
COMMENT ON COLUMN dxa_record.manufacturer IS 'Manufacturer of the densitometer under its common name; empty where not given.';
COMMENT ON COLUMN dxa_record.manufacturer_text IS 'Manufacturer as the record spells it.';
COMMENT ON COLUMN dxa_record.bmd_dxa IS 'Areal BMD on the scale of its manufacturer, g/cm2.';
COMMENT ON COLUMN dxa_record.t_score IS 'T-score as reported, 1.';
COMMENT ON COLUMN dxa_record.z_score IS 'Z-score as reported, 1.';
COMMENT ON COLUMN dxa_record.status IS 'preliminary, final, corrected or withdrawn (entered in error, deleted, not done).';
COMMENT ON COLUMN dxa_record.issued_at IS 'When this version of the result was issued, UTC; NULL when not said.';
COMMENT ON COLUMN dxa_record.source_format IS 'csv, parquet, fhir, hl7, dicom, omop, or earlier: stored by a version that kept no records.';
COMMENT ON COLUMN dxa_record.source_file IS 'Name of the file in which it was first seen.';
COMMENT ON COLUMN dxa_record.imported_at IS 'When it was first imported, UTC.';

CREATE TABLE IF NOT EXISTS dxa (
    patient_id             VARCHAR NOT NULL,
    dxa_date               DATE NOT NULL,
    region                 VARCHAR NOT NULL,
    bmd_dxa                DOUBLE CHECK (bmd_dxa BETWEEN 0.2 AND 2.5),
    t_score                DOUBLE CHECK (t_score BETWEEN -8 AND 8),
    z_score                DOUBLE CHECK (z_score BETWEEN -8 AND 8),
    manufacturer           VARCHAR NOT NULL,
    conflict               BOOLEAN NOT NULL DEFAULT false,
    status                 VARCHAR NOT NULL DEFAULT 'final' CHECK (status IN ('preliminary', 'final', 'corrected')),
    issued_at              TIMESTAMP,
    source_file            VARCHAR NOT NULL,
    imported_at            TIMESTAMP NOT NULL,
    PRIMARY KEY (patient_id, dxa_date, region, manufacturer),
    CHECK (region IN (
        'L1', 'L2', 'L3', 'L4', 'L1-L2', 'L2-L3', 'L3-L4', 'L1-L3', 'L2-L4', 'L1-L4',
        'L1+L3', 'L1+L4', 'L2+L4', 'L1+L2+L4', 'L1+L3+L4',
        'total_hip', 'total_hip_left', 'total_hip_right',
        'femoral_neck', 'femoral_neck_left', 'femoral_neck_right',
        'femur', 'femur_left', 'femur_right', 'unspecified'
    )),
    CHECK (NOT conflict OR (bmd_dxa IS NULL AND t_score IS NULL AND z_score IS NULL))
);
COMMENT ON TABLE dxa IS 'The central DXA in force: one row a patient, date, region and manufacturer, as table dxa_record tells.';
COMMENT ON COLUMN dxa.patient_id IS 'The patient, as in table patient.';
COMMENT ON COLUMN dxa.dxa_date IS 'Date of the measurement.';
COMMENT ON COLUMN dxa.region IS 'L1-L4, other bodies of L1 to L4 (a range, or joined by +), total_hip, femoral_neck, femur (part not said), each hip region with its side where known; unspecified: only that a DXA was done is known.';
COMMENT ON COLUMN dxa.bmd_dxa IS 'Areal BMD on the scale of its manufacturer, g/cm2.';
COMMENT ON COLUMN dxa.t_score IS 'T-score as reported, 1.';
COMMENT ON COLUMN dxa.z_score IS 'Z-score as reported, 1.';
COMMENT ON COLUMN dxa.manufacturer IS 'Manufacturer of the densitometer, whose scale bmd_dxa is on; empty where not given.';
COMMENT ON COLUMN dxa.conflict IS 'Records of the same standing give different values: a DXA was done, its values are left out.';
COMMENT ON COLUMN dxa.status IS 'preliminary, final or corrected: standing of the newest record.';
COMMENT ON COLUMN dxa.issued_at IS 'When the newest record of it was issued, UTC; NULL when not said.';
COMMENT ON COLUMN dxa.source_file IS 'Name of an imported file that tells of it, the first in the alphabet.';
COMMENT ON COLUMN dxa.imported_at IS 'When it was first imported, UTC.';

CREATE TABLE IF NOT EXISTS patient_context (
    patient_id             VARCHAR NOT NULL,
    fact                   VARCHAR NOT NULL CHECK (fact IN ('diagnosis', 'treatment', 'death', 'opt_out')),
    holds                  BOOLEAN NOT NULL,
    since_date             DATE,
    recorded_on            DATE NOT NULL,
    source_file            VARCHAR NOT NULL,
    imported_at            TIMESTAMP NOT NULL,
    PRIMARY KEY (patient_id, fact)
);
COMMENT ON TABLE patient_context IS 'What else is known of a patient: one row a fact, as recorded last.';
COMMENT ON COLUMN patient_context.patient_id IS 'The patient, as in table patient.';
COMMENT ON COLUMN patient_context.fact IS 'diagnosis: known osteoporosis; treatment: of osteoporosis; death; opt_out: wants no part in this.';
COMMENT ON COLUMN patient_context.holds IS 'Whether the fact holds; of records of one day that differ, that it holds counts.';
COMMENT ON COLUMN patient_context.since_date IS 'Since when; for death the date of death; NULL when not said.';
COMMENT ON COLUMN patient_context.recorded_on IS 'Day on which this was recorded; the newest counts.';
COMMENT ON COLUMN patient_context.source_file IS 'Name of an imported file that tells so.';
COMMENT ON COLUMN patient_context.imported_at IS 'When it was imported, UTC.';

CREATE TABLE IF NOT EXISTS rejected_record (
    record_digest          VARCHAR PRIMARY KEY,
    kind                   VARCHAR NOT NULL DEFAULT 'dxa' CHECK (kind IN ('dxa', 'patients')),
    source_format          VARCHAR NOT NULL DEFAULT 'csv',
    source_file            VARCHAR NOT NULL,
    row_number             BIGINT CHECK (row_number >= 1),
    place                  VARCHAR NOT NULL DEFAULT '',
    reason                 VARCHAR NOT NULL,
    record                 VARCHAR NOT NULL,
    patient_id             VARCHAR,
    dxa_date               DATE,
    region                 VARCHAR,
    rejected_at            TIMESTAMP NOT NULL
);
COMMENT ON TABLE rejected_record IS 'Every imported record that was refused, verbatim, with the reason; one accepted later leaves.';
COMMENT ON COLUMN rejected_record.record_digest IS 'SHA-256 of kind, format, place within the record, and record: a second import adds nothing.';
COMMENT ON COLUMN rejected_record.kind IS 'dxa or patients: what it was imported as.';
COMMENT ON COLUMN rejected_record.source_format IS 'csv, parquet, fhir, hl7, dicom or omop.';
COMMENT ON COLUMN rejected_record.source_file IS 'Name of the file in which it was first seen.';
COMMENT ON COLUMN rejected_record.row_number IS 'Its number in the file: row (the header being row 1), line, resource or message; NULL when not counted.';
COMMENT ON COLUMN rejected_record.place IS 'Where in the record the refused part stands, e.g. a region or segment; empty: all of it.';
COMMENT ON COLUMN rejected_record.reason IS 'Rule that refused it, a value of screening.records.refusals.Refusal.';
COMMENT ON COLUMN rejected_record.record IS 'The record as JSON, verbatim.';
COMMENT ON COLUMN rejected_record.patient_id IS 'The patient, as in table patient, where it could be read.';
COMMENT ON COLUMN rejected_record.dxa_date IS 'Date of the measurement, where it could be read.';
COMMENT ON COLUMN rejected_record.region IS 'Region, as in table dxa, where it could be read.';
COMMENT ON COLUMN rejected_record.rejected_at IS 'When it was refused first, UTC.';
