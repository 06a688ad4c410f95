-- What the archive holds: written by the sweep's look at it.

CREATE TABLE IF NOT EXISTS folder_index (
    encoded_path           VARCHAR PRIMARY KEY,
    folder_id              BIGINT NOT NULL,
    mtime_ns               BIGINT NOT NULL,
    digest                 BLOB NOT NULL,
    file_count             BIGINT NOT NULL CHECK (file_count >= 0),
    reachable              BOOLEAN NOT NULL
);
COMMENT ON TABLE folder_index IS 'The folders of the archives as they were last seen; which files they hold stands in series_index and file_problem.';
COMMENT ON COLUMN folder_index.encoded_path IS 'Path as a JSON string in ASCII; tells names apart that are no valid text.';
COMMENT ON COLUMN folder_index.folder_id IS 'Digest of the path, short for it in other tables.';
COMMENT ON COLUMN folder_index.mtime_ns IS 'Modification time of the folder, ns since 1970; while it stays the same no file came or went. 0: to be listed again.';
COMMENT ON COLUMN folder_index.digest IS 'Digest of name, size and modification time of its files; empty: to be compared file by file.';
COMMENT ON COLUMN folder_index.file_count IS 'Files in the folder, without its subfolders, each in series_index or file_problem, count.';
COMMENT ON COLUMN folder_index.reachable IS 'Whether it could be listed at the last look; if not, it has a row of its own in file_problem.';

CREATE TABLE IF NOT EXISTS full_walk (
    archive                VARCHAR PRIMARY KEY,
    walked_at              TIMESTAMP NOT NULL
);
COMMENT ON TABLE full_walk IS 'One row an archive: when every file in it was last looked at, not only its folders.';
COMMENT ON COLUMN full_walk.archive IS 'Folder of the archive.';
COMMENT ON COLUMN full_walk.walked_at IS 'Start of the last full walk that came to its end, UTC.';

CREATE TABLE IF NOT EXISTS series_index (
    series_instance_uid    VARCHAR NOT NULL,
    study_instance_uid     VARCHAR NOT NULL,
    modality               VARCHAR NOT NULL,
    instance_count         INTEGER NOT NULL CHECK (instance_count >= 0),
    copy_count             INTEGER NOT NULL DEFAULT 0 CHECK (copy_count >= 0),
    newest_mtime_ns        BIGINT NOT NULL DEFAULT 0,
    fingerprint            VARCHAR NOT NULL,
    folder_ids             BIGINT[],
    instances              BLOB NOT NULL,
    present                BOOLEAN NOT NULL,
    gone_at                TIMESTAMP,
    indexed_at             TIMESTAMP NOT NULL,
    PRIMARY KEY (study_instance_uid, series_instance_uid)
);
-- A database made before these columns were there gets them here; the next sweep fills them.
ALTER TABLE series_index ADD COLUMN IF NOT EXISTS copy_count INTEGER DEFAULT 0;
ALTER TABLE series_index ADD COLUMN IF NOT EXISTS newest_mtime_ns BIGINT DEFAULT 0;
ALTER TABLE series_index ADD COLUMN IF NOT EXISTS folder_ids BIGINT[];
ALTER TABLE series_index ADD COLUMN IF NOT EXISTS gone_at TIMESTAMP;
COMMENT ON TABLE series_index IS 'The archive as it was last seen: one row a series, its instances packed.';
COMMENT ON COLUMN series_index.series_instance_uid IS 'SeriesInstanceUID (0020,000E).';
COMMENT ON COLUMN series_index.study_instance_uid IS 'StudyInstanceUID (0020,000D).';
COMMENT ON COLUMN series_index.modality IS 'Modality (0008,0060).';
COMMENT ON COLUMN series_index.instance_count IS 'Files of the series, without copies, count.';
COMMENT ON COLUMN series_index.copy_count IS 'Further files that say the same of themselves as one of these in all but path and time, count.';
COMMENT ON COLUMN series_index.newest_mtime_ns IS 'Latest modification time of its files, ns since 1970; tells a study that is still arriving.';
COMMENT ON COLUMN series_index.fingerprint IS 'Digest of SOPInstanceUID, size and modification time of every file of the series.';
COMMENT ON COLUMN series_index.folder_ids IS 'Folders its files lie in (folder_index.folder_id); NULL in a row of an earlier version.';
COMMENT ON COLUMN series_index.instances IS 'The headers of the series, packed by screening.archive.index.pack; the first byte is the version of the packing.';
COMMENT ON COLUMN series_index.present IS 'Whether any file of the series was there at the last sweep; results of a vanished series are kept.';
COMMENT ON COLUMN series_index.gone_at IS 'When its last file was found gone, UTC; NULL while any is there.';
COMMENT ON COLUMN series_index.indexed_at IS 'When this row was last written, UTC.';

CREATE TABLE IF NOT EXISTS file_problem (
    encoded_path           VARCHAR PRIMARY KEY,
    path                   VARCHAR NOT NULL,
    folder_id              BIGINT,
    size_bytes             BIGINT NOT NULL CHECK (size_bytes >= 0),
    mtime_ns               BIGINT NOT NULL,
    reason                 VARCHAR NOT NULL,
    detail                 VARCHAR NOT NULL,
    found_at               TIMESTAMP NOT NULL
);
ALTER TABLE file_problem ADD COLUMN IF NOT EXISTS folder_id BIGINT;
COMMENT ON TABLE file_problem IS 'Files that are not part of any indexed series, each with its reason.';
COMMENT ON COLUMN file_problem.encoded_path IS 'Path as a JSON string in ASCII; tells file names apart that are no valid text.';
COMMENT ON COLUMN file_problem.path IS 'Path of the file; may hold identifiers.';
COMMENT ON COLUMN file_problem.folder_id IS 'The folder it lies in, or is (folder_index.folder_id); NULL in a row of an earlier version.';
COMMENT ON COLUMN file_problem.size_bytes IS 'Size, bytes.';
COMMENT ON COLUMN file_problem.mtime_ns IS 'Modification time, ns since 1970; with size_bytes it tells an unchanged file.';
COMMENT ON COLUMN file_problem.reason IS 'Why the file is not indexed (screening.archive.header.FileProblem).';
COMMENT ON COLUMN file_problem.detail IS 'Exception type or other measured fact, without patient data.';
COMMENT ON COLUMN file_problem.found_at IS 'When the file was last looked at, UTC.';
