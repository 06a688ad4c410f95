-- Who is who stays with the site: names of persons, studies, scanners and sites -> keys and numbers.
-- The keys are research_key of screening.log: HMAC-SHA-256 with the site's secret, whose two pads are variables of the
-- session. They are others than those of logs and addresses, by which the dashboard would find the patient.
-- All of this is temporary, so that nothing of it lies in the file.
CREATE TEMP MACRO keyed(name) AS
    substr(sha256(getvariable('outer_pad') || unhex(sha256(getvariable('inner_pad') || encode(name)))), 1, 32);
CREATE TEMP MACRO key_of_patient(patient_id) AS keyed('research patient ' || patient_id);
CREATE TEMP MACRO key_of_study(study_instance_uid) AS keyed('research study ' || study_instance_uid);
CREATE TEMP MACRO month_of(day) AS date_trunc('month', day)::DATE;
-- Rounded down, so that before and after stay apart; who knows one day does not know the other by it.
CREATE TEMP MACRO whole_weeks(days) AS floor(days / 7)::INTEGER;
-- Holders of health data give no figures of groups below 5 to 11; 10 is what we ask for.
CREATE TEMP MACRO enough(people) AS people >= 10;
-- HIPAA Safe Harbor takes all ages from 90 on for one, 45 CFR 164.514(b)(2)(i)(C).
CREATE TEMP MACRO grouped_age(age_years) AS CASE WHEN age_years >= 90 THEN 90 ELSE floor(age_years) END::INTEGER;

CREATE TEMP TABLE opted_out AS FROM memory.opted_out;

CREATE TEMP TABLE numbered_scanner AS
SELECT scanner AS name, row_number() OVER (ORDER BY count(*) DESC, md5(scanner))::INTEGER AS scanner
FROM memory.study_scanner
GROUP BY name;

CREATE TEMP TABLE numbered_site AS
SELECT institution_name AS name, row_number() OVER (ORDER BY count(*) DESC, md5(institution_name))::INTEGER AS site
FROM memory.study
WHERE trim(institution_name) <> ''
GROUP BY name;

CREATE TEMP TABLE makers_of_ct (maker VARCHAR, spelling VARCHAR);
INSERT INTO makers_of_ct VALUES
    ('Siemens', 'siemens'),
    ('GE', '^ge |\bgems\b|general electric'),
    ('Philips', 'philips|marconi|picker'),
    ('Canon', 'canon|toshiba'),
    ('Fujifilm', 'fuji|hitachi'),
    ('United Imaging', '\buih\b|united imaging'),
    ('Neusoft', 'neusoft'),
    ('Samsung', 'samsung|neurologica');
