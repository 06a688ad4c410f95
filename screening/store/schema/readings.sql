-- What was read from each study, and by which checkpoint: written by the sweep.

CREATE TABLE IF NOT EXISTS model (
    checkpoint_sha256      VARCHAR PRIMARY KEY CHECK (length(checkpoint_sha256) = 64),
    name                   VARCHAR NOT NULL,
    data_kind              VARCHAR NOT NULL CHECK (data_kind IN ('simulated', 'site')),
    metrics                JSON NOT NULL,
    active                 BOOLEAN NOT NULL,
    registered_at          TIMESTAMP NOT NULL
);
COMMENT ON TABLE model IS 'Checkpoints that have read studies of this database.';
COMMENT ON COLUMN model.checkpoint_sha256 IS 'SHA-256 of the checkpoint file.';
COMMENT ON COLUMN model.name IS 'Name of the checkpoint.';
COMMENT ON COLUMN model.data_kind IS 'What it was trained on: simulated CT, or CT and DXA pairs of a site.';
COMMENT ON COLUMN model.metrics IS 'Metrics measured on held-out patients when it was made, with their data kind.';
COMMENT ON COLUMN model.active IS 'Whether the views show the results of this checkpoint; one row is active.';
COMMENT ON COLUMN model.registered_at IS 'When it was first used in this database, UTC.';

CREATE TABLE IF NOT EXISTS patient (
    patient_id             VARCHAR PRIMARY KEY,
    identified             BOOLEAN NOT NULL
);
COMMENT ON TABLE patient IS 'One row a patient of the archive; sex and birth date stand with each study, see patient_bmd.';
COMMENT ON COLUMN patient.patient_id IS 'PatientID (0010,0020); "unidentified:" and a digest of the study UID where the header has none.';
COMMENT ON COLUMN patient.identified IS 'Whether PatientID came from the header; without one no DXA can be matched.';

CREATE TABLE IF NOT EXISTS study (
    study_instance_uid     VARCHAR PRIMARY KEY,
    patient_id             VARCHAR NOT NULL,
    study_key              VARCHAR NOT NULL,
    study_date             DATE,
    age_years              DOUBLE CHECK (age_years BETWEEN 0 AND 130),
    sex                    VARCHAR CHECK (sex IN ('F', 'M', 'O')),
    birth_date             DATE,
    issuer_of_patient_id   VARCHAR NOT NULL,
    accession_number       VARCHAR NOT NULL,
    study_description      VARCHAR NOT NULL,
    institution_name       VARCHAR NOT NULL,
    series_count           INTEGER NOT NULL CHECK (series_count > 0),
    instance_count         INTEGER NOT NULL CHECK (instance_count > 0),
    fingerprint            VARCHAR NOT NULL
);
COMMENT ON TABLE study IS 'One row a study of the archive.';
COMMENT ON COLUMN study.study_instance_uid IS 'StudyInstanceUID (0020,000D).';
COMMENT ON COLUMN study.patient_id IS 'The patient, see table patient.';
COMMENT ON COLUMN study.study_key IS 'Keyed digest (HMAC-SHA-256) that stands for the study in logs and file names.';
COMMENT ON COLUMN study.study_date IS 'StudyDate (0008,0020).';
COMMENT ON COLUMN study.age_years IS 'Age at the study in years, from birth date, else PatientAge (0010,1010).';
COMMENT ON COLUMN study.sex IS 'PatientSex (0010,0040) in this study; NULL where absent.';
COMMENT ON COLUMN study.birth_date IS 'PatientBirthDate (0010,0030) in this study; NULL where absent.';
COMMENT ON COLUMN study.issuer_of_patient_id IS 'IssuerOfPatientID (0010,0021) in this study, empty where absent.';
COMMENT ON COLUMN study.accession_number IS 'AccessionNumber (0008,0050), empty where absent.';
COMMENT ON COLUMN study.study_description IS 'StudyDescription (0008,1030), empty where absent.';
COMMENT ON COLUMN study.institution_name IS 'InstitutionName (0008,0080), empty where absent.';
COMMENT ON COLUMN study.series_count IS 'Series of the study, count.';
COMMENT ON COLUMN study.instance_count IS 'Files of the study, count.';
COMMENT ON COLUMN study.fingerprint IS 'Digest of the fingerprints of its series; a change makes the next sweep read it again.';

CREATE TABLE IF NOT EXISTS series (
    study_instance_uid     VARCHAR NOT NULL,
    series_instance_uid    VARCHAR NOT NULL,
    acquisition            VARCHAR NOT NULL DEFAULT '',
    modality               VARCHAR NOT NULL,
    series_description     VARCHAR NOT NULL,
    manufacturer           VARCHAR NOT NULL,
    manufacturer_model_name VARCHAR NOT NULL,
    image_type             VARCHAR,
    kvp_kv                 DOUBLE CHECK (kvp_kv BETWEEN 0 AND 1000),
    convolution_kernel     VARCHAR NOT NULL,
    kernel                 VARCHAR CHECK (kernel IN ('soft', 'unstated', 'sharp')),
    slice_thickness_mm     DOUBLE CHECK (slice_thickness_mm BETWEEN 0 AND 1000),
    instance_count         INTEGER NOT NULL CHECK (instance_count > 0),
    obliquity_deg          DOUBLE CHECK (obliquity_deg BETWEEN 0 AND 90),
    spacing_mm             DOUBLE CHECK (spacing_mm BETWEEN 0 AND 1e4),
    coverage_mm            DOUBLE CHECK (coverage_mm BETWEEN 0 AND 1e5),
    stated_phase           VARCHAR CHECK (stated_phase IN ('unenhanced', 'unstated', 'enhanced')),
    aorta_hu               DOUBLE CHECK (aorta_hu BETWEEN -1024 AND 4000),
    kidney_hu              DOUBLE CHECK (kidney_hu BETWEEN -1024 AND 4000),
    air_hu                 DOUBLE CHECK (air_hu BETWEEN -1024 AND 4000),
    fat_hu                 DOUBLE CHECK (fat_hu BETWEEN -1024 AND 4000),
    muscle_hu              DOUBLE CHECK (muscle_hu BETWEEN -1024 AND 4000),
    level_certainty        VARCHAR CHECK (level_certainty IN ('certain', 'uncertain')),
    level_detail           VARCHAR,
    chosen                 BOOLEAN NOT NULL,
    reason                 VARCHAR,
    detail                 VARCHAR NOT NULL,
    PRIMARY KEY (study_instance_uid, series_instance_uid, acquisition),
    CHECK (chosen = (reason IS NULL))
);
-- A database made before this column was there gets it here.
ALTER TABLE series ADD COLUMN IF NOT EXISTS station_name VARCHAR;
COMMENT ON TABLE series IS 'One row a series of a study that was read, or an acquisition in it: chosen, or the reason why not, and the facts of the decision.';
COMMENT ON COLUMN series.study_instance_uid IS 'StudyInstanceUID (0020,000D).';
COMMENT ON COLUMN series.series_instance_uid IS 'SeriesInstanceUID (0020,000E).';
COMMENT ON COLUMN series.acquisition IS 'Names the acquisition where several share one SeriesInstanceUID; empty where the row is the whole series.';
COMMENT ON COLUMN series.modality IS 'Modality (0008,0060).';
COMMENT ON COLUMN series.series_description IS 'SeriesDescription (0008,103E), empty where absent.';
COMMENT ON COLUMN series.manufacturer IS 'Manufacturer (0008,0070), empty where absent.';
COMMENT ON COLUMN series.manufacturer_model_name IS 'ManufacturerModelName (0008,1090), empty where absent.';
COMMENT ON COLUMN series.station_name IS 'StationName (0008,1010), which machine of a model; empty where absent, NULL where read before this was stored.';
COMMENT ON COLUMN series.image_type IS 'ImageType (0008,0008) of the first instance; NULL where read before this was stored.';
COMMENT ON COLUMN series.kvp_kv IS 'KVP (0018,0060), kV.';
COMMENT ON COLUMN series.convolution_kernel IS 'ConvolutionKernel (0018,1210), empty where absent.';
COMMENT ON COLUMN series.kernel IS 'Sharpness that kernel and description state: soft, unstated, sharp; NULL where read before this was stored.';
COMMENT ON COLUMN series.slice_thickness_mm IS 'SliceThickness (0018,0050), mm.';
COMMENT ON COLUMN series.instance_count IS 'Files of the series or acquisition, count.';
COMMENT ON COLUMN series.obliquity_deg IS 'Angle of the slice normal to the patient''s long axis, from ImageOrientationPatient (0020,0037), degrees; NULL without common orientation.';
COMMENT ON COLUMN series.spacing_mm IS 'Distance of neighbouring slices, from ImagePositionPatient (0020,0032), mm; NULL where they are no regular stack.';
COMMENT ON COLUMN series.coverage_mm IS 'Slices times their spacing, mm; NULL where they are no regular stack.';
COMMENT ON COLUMN series.stated_phase IS 'What ContrastBolusAgent (0018,0010) and descriptions say about intravenous contrast; NULL where read before this was stored.';
COMMENT ON COLUMN series.aorta_hu IS 'Attenuation of blood in the abdominal aorta, HU as acquired; NULL where not found or not looked for.';
COMMENT ON COLUMN series.kidney_hu IS 'Attenuation of renal parenchyma, HU as acquired; NULL where not both kidneys are bright, or not looked for.';
COMMENT ON COLUMN series.air_hu IS 'Attenuation of air around the patient, HU; NULL where not found or not looked for.';
COMMENT ON COLUMN series.fat_hu IS 'Attenuation of subcutaneous fat, HU as acquired; NULL where not found or not looked for.';
COMMENT ON COLUMN series.muscle_hu IS 'Attenuation of paraspinal muscle, HU as acquired; NULL where not found or not looked for.';
COMMENT ON COLUMN series.level_certainty IS 'Whether the level names can be relied on; NULL where no lumbar spine was found or looked for.';
COMMENT ON COLUMN series.level_detail IS 'The measured facts behind the level names; NULL where no lumbar spine was found or looked for.';
COMMENT ON COLUMN series.chosen IS 'Whether this is the series of its study that was measured.';
COMMENT ON COLUMN series.reason IS 'Why the series was not measured (screening.errors.Exclusion or failed); NULL when chosen.';
COMMENT ON COLUMN series.detail IS 'The measured facts behind the reason, without patient data.';

CREATE TABLE IF NOT EXISTS outcome (
    study_instance_uid     VARCHAR NOT NULL,
    checkpoint_sha256      VARCHAR NOT NULL,
    sweep_id               INTEGER NOT NULL,
    status                 VARCHAR NOT NULL CHECK (status IN ('measured', 'excluded', 'failed')),
    reason                 VARCHAR,
    detail                 VARCHAR NOT NULL,
    stage                  VARCHAR,
    reading_fingerprint    VARCHAR NOT NULL,
    read_seconds           DOUBLE NOT NULL CHECK (read_seconds BETWEEN 0 AND 1e6),
    read_at                TIMESTAMP NOT NULL,
    PRIMARY KEY (study_instance_uid, checkpoint_sha256),
    CHECK ((status = 'measured') = (reason IS NULL)),
    CHECK ((status = 'failed') = (stage IS NOT NULL))
);
COMMENT ON TABLE outcome IS 'How reading a study with a checkpoint ended. Every study found is here exactly once a checkpoint.';
COMMENT ON COLUMN outcome.study_instance_uid IS 'StudyInstanceUID (0020,000D).';
COMMENT ON COLUMN outcome.checkpoint_sha256 IS 'The checkpoint, see table model.';
COMMENT ON COLUMN outcome.sweep_id IS 'The sweep that read it.';
COMMENT ON COLUMN outcome.status IS 'measured, excluded (the study lacks something) or failed (the program broke).';
COMMENT ON COLUMN outcome.reason IS 'Excluded: screening.errors.Exclusion; failed: the exception type; NULL when measured.';
COMMENT ON COLUMN outcome.detail IS 'The measured facts behind the reason, without patient data.';
COMMENT ON COLUMN outcome.stage IS 'Failed: the module in which it broke.';
COMMENT ON COLUMN outcome.reading_fingerprint IS 'Digest of the files that were read and of the settings that decide the reading; empty when the next sweep is to try again.';
COMMENT ON COLUMN outcome.read_seconds IS 'Time from files to numbers, s.';
COMMENT ON COLUMN outcome.read_at IS 'When it was read, UTC.';

CREATE TABLE IF NOT EXISTS vertebra (
    study_instance_uid     VARCHAR NOT NULL,
    checkpoint_sha256      VARCHAR NOT NULL,
    series_instance_uid    VARCHAR NOT NULL,
    acquisition            VARCHAR NOT NULL DEFAULT '',
    level                  VARCHAR NOT NULL CHECK (level IN ('T12', 'L1', 'L2', 'L3', 'L4', 'L5')),
    confidence             DOUBLE NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    centre_x_mm            DOUBLE NOT NULL CHECK (centre_x_mm BETWEEN -1e5 AND 1e5),
    centre_y_mm            DOUBLE NOT NULL CHECK (centre_y_mm BETWEEN -1e5 AND 1e5),
    centre_z_mm            DOUBLE NOT NULL CHECK (centre_z_mm BETWEEN -1e5 AND 1e5),
    upper_z_mm             DOUBLE NOT NULL CHECK (upper_z_mm BETWEEN -1e5 AND 1e5),
    lower_z_mm             DOUBLE NOT NULL CHECK (lower_z_mm BETWEEN -1e5 AND upper_z_mm),
    attenuation_hu         DOUBLE CHECK (attenuation_hu BETWEEN -1024 AND 4000),
    attenuation_sd_hu      DOUBLE CHECK (attenuation_sd_hu BETWEEN 0 AND 4000),
    attenuation_median_hu  DOUBLE CHECK (attenuation_median_hu BETWEEN -1024 AND 4000),
    roi_area_mm2           DOUBLE CHECK (roi_area_mm2 BETWEEN 0 AND 10000),
    body_depth_mm          DOUBLE CHECK (body_depth_mm BETWEEN 0 AND 100),
    anterior_height_mm     DOUBLE CHECK (anterior_height_mm BETWEEN 0 AND 100),
    middle_height_mm       DOUBLE CHECK (middle_height_mm BETWEEN 0 AND 100),
    posterior_height_mm    DOUBLE CHECK (posterior_height_mm BETWEEN 0 AND 100),
    height_loss            DOUBLE CHECK (height_loss BETWEEN -10 AND 1),
    metal_mm3              DOUBLE CHECK (metal_mm3 BETWEEN 0 AND 1e7),
    dark_share             DOUBLE CHECK (dark_share BETWEEN 0 AND 1),
    attended_hu            DOUBLE CHECK (attended_hu BETWEEN -1024 AND 4000),
    bmd_cnn                DOUBLE CHECK (bmd_cnn BETWEEN 0 AND 4),
    bmd_sd                 DOUBLE CHECK (bmd_sd BETWEEN 0 AND 4),
    used                   BOOLEAN NOT NULL,
    reason                 VARCHAR,
    PRIMARY KEY (study_instance_uid, checkpoint_sha256, level),
    CHECK (used = (reason IS NULL)),
    CHECK (NOT used OR bmd_cnn IS NOT NULL)
);
COMMENT ON TABLE vertebra IS 'One row a vertebral body that was read, in a measured series or in one with too few usable levels; positions in DICOM patient coordinates.';
COMMENT ON COLUMN vertebra.study_instance_uid IS 'StudyInstanceUID (0020,000D).';
COMMENT ON COLUMN vertebra.checkpoint_sha256 IS 'The checkpoint, see table model.';
COMMENT ON COLUMN vertebra.series_instance_uid IS 'SeriesInstanceUID (0020,000E) of the series that was read.';
COMMENT ON COLUMN vertebra.acquisition IS 'The acquisition in that series, see series.acquisition.';
COMMENT ON COLUMN vertebra.level IS 'Level name, T12 and L1 to L5.';
COMMENT ON COLUMN vertebra.confidence IS 'Confidence of the localiser in this body, 0 to 1.';
COMMENT ON COLUMN vertebra.centre_x_mm IS 'Centre of the body, patient x (to the left), mm.';
COMMENT ON COLUMN vertebra.centre_y_mm IS 'Centre of the body, patient y (to posterior), mm.';
COMMENT ON COLUMN vertebra.centre_z_mm IS 'Centre of the body, patient z (to cranial), mm.';
COMMENT ON COLUMN vertebra.upper_z_mm IS 'Cranial end plate on the axis of the body, patient z, mm.';
COMMENT ON COLUMN vertebra.lower_z_mm IS 'Caudal end plate on the axis of the body, patient z, mm.';
COMMENT ON COLUMN vertebra.attenuation_hu IS 'Mean of the trabecular region of interest, HU as acquired.';
COMMENT ON COLUMN vertebra.attenuation_sd_hu IS 'Standard deviation in the region of interest, HU.';
COMMENT ON COLUMN vertebra.attenuation_median_hu IS 'Median of the region of interest, HU as acquired.';
COMMENT ON COLUMN vertebra.roi_area_mm2 IS 'Area of the region of interest in its middle slice, mm2.';
COMMENT ON COLUMN vertebra.body_depth_mm IS 'Antero-posterior depth of the body by its outline, mm.';
COMMENT ON COLUMN vertebra.anterior_height_mm IS 'Height of the body at its front, between the end plates, mm; NULL where not measured.';
COMMENT ON COLUMN vertebra.middle_height_mm IS 'Height of the body in its middle, mm; NULL where not measured.';
COMMENT ON COLUMN vertebra.posterior_height_mm IS 'Height of the body at its back, mm; NULL where not measured.';
COMMENT ON COLUMN vertebra.height_loss IS 'Largest loss of these heights against the neighbours, as share of the height expected, 1; NULL without neighbours or where a plate does not show.';
COMMENT ON COLUMN vertebra.metal_mm3 IS 'Volume denser than bone, above 2500 HU around the body or above 1500 HU inside it, mm3: metal or cement; NULL where not looked for.';
COMMENT ON COLUMN vertebra.dark_share IS 'Share of the inside of the body below -250 HU: streaks of metal, or gas, 1; NULL where not looked for.';
COMMENT ON COLUMN vertebra.attended_hu IS 'Trabecular attenuation that BMD_CNN attended, HU at 120 kVp equivalent.';
COMMENT ON COLUMN vertebra.bmd_cnn IS 'Areal BMD of L1-L4 as this level tells it, by BMD_CNN, g/cm2; not the areal BMD of the level alone.';
COMMENT ON COLUMN vertebra.bmd_sd IS 'Standard deviation of the level estimate as the network states it, g/cm2.';
COMMENT ON COLUMN vertebra.used IS 'Whether the level enters the patient value.';
COMMENT ON COLUMN vertebra.reason IS 'Why the level does not enter the patient value (screening.prediction.patient.LevelProblem, or too_few_levels where the level is sound but the study has no value); NULL when used.';

CREATE TABLE IF NOT EXISTS slice_prediction (
    study_instance_uid     VARCHAR NOT NULL,
    checkpoint_sha256      VARCHAR NOT NULL,
    level                  VARCHAR NOT NULL,
    slab                   INTEGER NOT NULL CHECK (slab >= 0),
    z_mm                   DOUBLE NOT NULL CHECK (z_mm BETWEEN -1e5 AND 1e5),
    bmd_cnn                DOUBLE NOT NULL CHECK (bmd_cnn BETWEEN -1 AND 4),
    bmd_sd                 DOUBLE NOT NULL CHECK (bmd_sd BETWEEN 0 AND 4),
    attended_hu            DOUBLE NOT NULL CHECK (attended_hu BETWEEN -1024 AND 4000),
    body_depth_mm          DOUBLE NOT NULL CHECK (body_depth_mm BETWEEN 0 AND 100),
    PRIMARY KEY (study_instance_uid, checkpoint_sha256, level, slab)
);
COMMENT ON TABLE slice_prediction IS 'One row an axial slab that BMD_CNN read.';
COMMENT ON COLUMN slice_prediction.study_instance_uid IS 'StudyInstanceUID (0020,000D).';
COMMENT ON COLUMN slice_prediction.checkpoint_sha256 IS 'The checkpoint, see table model.';
COMMENT ON COLUMN slice_prediction.level IS 'Level name.';
COMMENT ON COLUMN slice_prediction.slab IS 'Number of the slab within the level, from 0, caudal first.';
COMMENT ON COLUMN slice_prediction.z_mm IS 'Centre of the slab on the axis of the body, patient z, mm.';
COMMENT ON COLUMN slice_prediction.bmd_cnn IS 'Areal BMD estimated from this slab alone, g/cm2.';
COMMENT ON COLUMN slice_prediction.bmd_sd IS 'Standard deviation of this estimate as the network states it, g/cm2.';
COMMENT ON COLUMN slice_prediction.attended_hu IS 'Attenuation that the network attended, HU at 120 kVp equivalent.';
COMMENT ON COLUMN slice_prediction.body_depth_mm IS 'Antero-posterior body depth that the network read, mm.';

CREATE TABLE IF NOT EXISTS study_bmd (
    study_instance_uid     VARCHAR NOT NULL,
    checkpoint_sha256      VARCHAR NOT NULL,
    patient_id             VARCHAR NOT NULL,
    bmd_cnn                DOUBLE NOT NULL CHECK (bmd_cnn BETWEEN 0 AND 4),
    bmd_low                DOUBLE NOT NULL CHECK (bmd_low BETWEEN -1 AND bmd_cnn),
    bmd_high               DOUBLE NOT NULL CHECK (bmd_high BETWEEN bmd_cnn AND 5),
    level_count            INTEGER NOT NULL CHECK (level_count >= 2),
    levels                 VARCHAR[] NOT NULL,
    attenuation_hu         DOUBLE CHECK (attenuation_hu BETWEEN -1024 AND 4000),
    reference              VARCHAR NOT NULL,
    t_score                DOUBLE NOT NULL CHECK (t_score BETWEEN -20 AND 20),
    yam_percent            DOUBLE NOT NULL CHECK (yam_percent BETWEEN 0 AND 400),
    category               VARCHAR CHECK (category IN ('osteoporosis', 'osteopenia', 'normal')),
    osteoporosis_probability DOUBLE NOT NULL CHECK (osteoporosis_probability BETWEEN 0 AND 1),
    band                   VARCHAR NOT NULL CHECK (band IN ('likely', 'indeterminate', 'not_flagged')),
    level_certainty        VARCHAR NOT NULL CHECK (level_certainty IN ('certain', 'uncertain')),
    contrast_enhanced      BOOLEAN NOT NULL,
    warnings               VARCHAR[] NOT NULL,
    evidence_file          VARCHAR NOT NULL,
    readers_disagree       BOOLEAN,
    reference_mean         DOUBLE CHECK (reference_mean BETWEEN 0.3 AND 3),
    reference_sd           DOUBLE CHECK (reference_sd BETWEEN 0.01 AND 1),
    osteoporosis_rule      VARCHAR CHECK (osteoporosis_rule IN ('t_score', 'yam')),
    z_score                DOUBLE CHECK (z_score BETWEEN -20 AND 20),
    z_category             VARCHAR,
    PRIMARY KEY (study_instance_uid, checkpoint_sha256),
    CHECK (z_category IN ('below_expected_range_for_age', 'within_expected_range_for_age'))
);
-- A database made before these columns were there gets them here; the next sweep fills those of the reference.
ALTER TABLE study_bmd ADD COLUMN IF NOT EXISTS readers_disagree BOOLEAN;
ALTER TABLE study_bmd ADD COLUMN IF NOT EXISTS reference_mean DOUBLE;
ALTER TABLE study_bmd ADD COLUMN IF NOT EXISTS reference_sd DOUBLE;
ALTER TABLE study_bmd ADD COLUMN IF NOT EXISTS osteoporosis_rule VARCHAR;
ALTER TABLE study_bmd ADD COLUMN IF NOT EXISTS z_score DOUBLE;
ALTER TABLE study_bmd ADD COLUMN IF NOT EXISTS z_category VARCHAR;
COMMENT ON TABLE study_bmd IS 'One row a measured study: the patient''s BMD_CNN at that date.';
COMMENT ON COLUMN study_bmd.study_instance_uid IS 'StudyInstanceUID (0020,000D).';
COMMENT ON COLUMN study_bmd.checkpoint_sha256 IS 'The checkpoint, see table model.';
COMMENT ON COLUMN study_bmd.patient_id IS 'The patient, see table patient.';
COMMENT ON COLUMN study_bmd.bmd_cnn IS 'Areal BMD estimated by BMD_CNN: mean of the usable levels L1 to L4, g/cm2. Not a DXA.';
COMMENT ON COLUMN study_bmd.bmd_low IS 'Lower end of the 90 % prediction interval, g/cm2.';
COMMENT ON COLUMN study_bmd.bmd_high IS 'Upper end of the 90 % prediction interval, g/cm2.';
COMMENT ON COLUMN study_bmd.level_count IS 'Levels that entered the mean, count; at least 2 (ISCD).';
COMMENT ON COLUMN study_bmd.levels IS 'Names of the levels that entered the mean.';
COMMENT ON COLUMN study_bmd.attenuation_hu IS 'Mean trabecular attenuation of the same levels, HU as acquired: the transparent comparator.';
COMMENT ON COLUMN study_bmd.reference IS 'Reference population of t_score and yam_percent (screening.prediction.tscore).';
COMMENT ON COLUMN study_bmd.reference_mean IS 'Young adult mean of that reference, as it was used, g/cm2; NULL where placed before this was stored.';
COMMENT ON COLUMN study_bmd.reference_sd IS 'Standard deviation of that reference, as it was used, g/cm2; NULL where placed before this was stored.';
COMMENT ON COLUMN study_bmd.osteoporosis_rule IS 'What category, probability and band call osteoporosis: t_score (T <= -2.5) or yam (at most 70 % of the young adult mean); NULL where placed before this was stored: t_score.';
COMMENT ON COLUMN study_bmd.z_score IS 'BMD_CNN as standard deviations from the mean of the same sex and decade of age (NHANES 2005+, Hologic scale), 1; NULL where age or sex is not known, under 21 or over 80 years, or against a reference on another scale.';
COMMENT ON COLUMN study_bmd.z_category IS 'Under 50 years, in the words of ISCD: below_expected_range_for_age (Z <= -2.0) or within_expected_range_for_age; NULL from 50 years on and without Z-score.';
COMMENT ON COLUMN study_bmd.t_score IS 'BMD_CNN as standard deviations from the young adult mean of the reference, 1.';
COMMENT ON COLUMN study_bmd.yam_percent IS 'BMD_CNN as share of the young adult mean of the reference, %.';
COMMENT ON COLUMN study_bmd.category IS 'Band of the number: osteoporosis (T <= -2.5, or as osteoporosis_rule says), osteopenia (else T < -1.0), normal; never a verdict. NULL under 50 years or age unknown.';
COMMENT ON COLUMN study_bmd.osteoporosis_probability IS 'Probability that the areal BMD is at or below the cut of osteoporosis_rule, under the prediction error of the checkpoint, 1.';
COMMENT ON COLUMN study_bmd.band IS 'likely: at or below the cut of osteoporosis_rule, that is probability at least one half; indeterminate: not likely, but the interval reaches the cut; else not_flagged, which does not mean normal.';
COMMENT ON COLUMN study_bmd.level_certainty IS 'Whether the level names can be relied on.';
COMMENT ON COLUMN study_bmd.contrast_enhanced IS 'Whether the series was contrast-enhanced and measured because the site allows it.';
COMMENT ON COLUMN study_bmd.readers_disagree IS 'For review: in a used level, network and region of interest differ by more than prediction.readers_disagree_hu; NULL where read before this was stored.';
COMMENT ON COLUMN study_bmd.warnings IS 'What a reader must know before using the number.';
COMMENT ON COLUMN study_bmd.evidence_file IS 'PNG under the evidence folder: the axial slices that were read with their regions of interest and where the network looked.';
