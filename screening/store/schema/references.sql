-- What densities are held against: written by the sweep.

CREATE TABLE IF NOT EXISTS reference_population (
    reference              VARCHAR PRIMARY KEY,
    mean_g_cm2             DOUBLE NOT NULL CHECK (mean_g_cm2 BETWEEN 0.3 AND 3),
    sd_g_cm2               DOUBLE NOT NULL CHECK (sd_g_cm2 BETWEEN 0.01 AND 1),
    manufacturer           VARCHAR NOT NULL,
    levels                 VARCHAR NOT NULL,
    source                 VARCHAR NOT NULL,
    verified               BOOLEAN NOT NULL
);
COMMENT ON TABLE reference_population IS 'The reference populations that were known at the last sweep, of the software and of the site.';
COMMENT ON COLUMN reference_population.reference IS 'Name, as in study_bmd.reference.';
COMMENT ON COLUMN reference_population.mean_g_cm2 IS 'Young adult mean of the areal BMD, g/cm2.';
COMMENT ON COLUMN reference_population.sd_g_cm2 IS 'Its standard deviation, g/cm2.';
COMMENT ON COLUMN reference_population.manufacturer IS 'Manufacturer on whose scale the figures are; empty where not said.';
COMMENT ON COLUMN reference_population.levels IS 'Lumbar levels the figures are of; BMD_CNN is of L1-L4.';
COMMENT ON COLUMN reference_population.source IS 'Where the figures are from.';
COMMENT ON COLUMN reference_population.verified IS 'Whether they were read from that source.';
