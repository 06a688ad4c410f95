-- What the views of the store that count patients or studies count here: those who have not opted out.
-- Made in the database in memory, which is gone with the session; the views are made there after this.
CREATE TABLE memory.opted_out AS
SELECT DISTINCT patient_id FROM patient_context WHERE fact = 'opt_out' AND holds;

CREATE TABLE memory.opted_out_study AS
SELECT study_instance_uid FROM study SEMI JOIN memory.opted_out USING (patient_id);

CREATE VIEW memory.study AS FROM identified.study ANTI JOIN memory.opted_out USING (patient_id);
CREATE VIEW memory.study_bmd AS FROM identified.study_bmd ANTI JOIN memory.opted_out USING (patient_id);
CREATE VIEW memory.dxa AS FROM identified.dxa ANTI JOIN memory.opted_out USING (patient_id);
CREATE VIEW memory.flag_event AS FROM identified.flag_event ANTI JOIN memory.opted_out USING (patient_id);
CREATE VIEW memory.outcome AS FROM identified.outcome ANTI JOIN memory.opted_out_study USING (study_instance_uid);
CREATE VIEW memory.series AS FROM identified.series ANTI JOIN memory.opted_out_study USING (study_instance_uid);
CREATE VIEW memory.series_index AS
FROM identified.series_index ANTI JOIN memory.opted_out_study USING (study_instance_uid);
CREATE VIEW memory.vertebra AS FROM identified.vertebra ANTI JOIN memory.opted_out_study USING (study_instance_uid);
CREATE VIEW memory.model AS FROM identified.model;
CREATE VIEW memory.publication AS FROM identified.publication;
