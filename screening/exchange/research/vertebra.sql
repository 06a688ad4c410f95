CREATE TABLE research.vertebra (
    study_key              VARCHAR NOT NULL,
    level                  VARCHAR NOT NULL,
    confidence             DOUBLE NOT NULL,
    attenuation_hu         DOUBLE,
    attenuation_sd_hu      DOUBLE,
    attenuation_median_hu  DOUBLE,
    roi_area_mm2           DOUBLE,
    body_depth_mm          DOUBLE,
    anterior_height_mm     DOUBLE,
    middle_height_mm       DOUBLE,
    posterior_height_mm    DOUBLE,
    height_loss            DOUBLE,
    metal_mm3              DOUBLE,
    dark_share             DOUBLE,
    attended_hu            DOUBLE,
    bmd_cnn                DOUBLE,
    bmd_sd                 DOUBLE,
    used                   BOOLEAN NOT NULL,
    reason                 VARCHAR
);
COMMENT ON TABLE research.vertebra IS 'One row a vertebral body that the active checkpoint read.';
COMMENT ON COLUMN research.vertebra.study_key IS 'The study, see table study.';
INSERT INTO research.vertebra
SELECT
    key_of_study(study_instance_uid) AS study_key,
    level,
    confidence,
    attenuation_hu,
    attenuation_sd_hu,
    attenuation_median_hu,
    roi_area_mm2,
    body_depth_mm,
    anterior_height_mm,
    middle_height_mm,
    posterior_height_mm,
    height_loss,
    metal_mm3,
    dark_share,
    attended_hu,
    bmd_cnn,
    bmd_sd,
    used,
    reason
FROM vertebra
SEMI JOIN (FROM model WHERE active) USING (checkpoint_sha256)
ANTI JOIN (FROM study SEMI JOIN opted_out USING (patient_id)) USING (study_instance_uid)
ORDER BY study_key, level;
ALTER TABLE research.vertebra ADD PRIMARY KEY (study_key, level);
