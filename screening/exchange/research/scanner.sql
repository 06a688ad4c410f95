CREATE TABLE research.scanner (
    scanner                INTEGER PRIMARY KEY,
    maker                  VARCHAR NOT NULL,
    study_count            BIGINT NOT NULL
);
COMMENT ON TABLE research.scanner IS 'The scanners of the site by number; model, station and institution stay with the site.';
COMMENT ON COLUMN research.scanner.scanner IS 'Number of the scanner in this publication, the one with most studies first.';
COMMENT ON COLUMN research.scanner.maker IS 'Manufacturer, where it is a known one; else other.';
COMMENT ON COLUMN research.scanner.study_count IS 'Studies with a result of the active checkpoint, of those who have not opted out, count.';
INSERT INTO research.scanner
SELECT
    numbered_scanner.scanner,
    coalesce(
        (SELECT min(maker) FROM makers_of_ct WHERE regexp_matches(lower(numbered_scanner.name), spelling)), 'other'
    ),
    (SELECT count(*) FROM memory.study_scanner AS known WHERE known.scanner = numbered_scanner.name)
FROM numbered_scanner
ORDER BY 1;
