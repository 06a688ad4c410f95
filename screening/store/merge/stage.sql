-- Room for what one import brings, before it is merged. All is prepared in temporary tables outside the transaction:
-- DuckDB 2.0 joins wrongly with a table that was made empty and filled within one.
CREATE OR REPLACE TEMP TABLE incoming AS SELECT *, 0::UBIGINT AS key_hash FROM dxa_record LIMIT 0;
CREATE OR REPLACE TEMP TABLE incoming_reject AS SELECT * FROM rejected_record LIMIT 0;
CREATE OR REPLACE TEMP TABLE read_again (record_digest VARCHAR NOT NULL);
CREATE OR REPLACE TEMP TABLE incoming_fact AS SELECT * FROM patient_context LIMIT 0;
