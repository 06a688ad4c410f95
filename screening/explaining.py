"""Path or study UID -> what was decided about every series of a study, and the facts that it rests on.

An explanation is made of the rows that a sweep writes, so that it says what the books say. Columns are taken by name:
of the patient there is the age, no name, identifier or date. UIDs and what the header says of each series (description,
image type, kernel, modality, what a reason quotes) stand as they were written, and people write names there: who asks
has the archive, and cannot tell series apart without them.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from screening.archive.header import FoundFile
from screening.archive.header_reader import read_headers
from screening.archive.index import Study, age_at_study_years, studies_of, unpack_study
from screening.config import Settings
from screening.errors import UserError
from screening.imaging.lumbar import Localizer
from screening.prediction.inference import Predictor
from screening.reading import outcome_of
from screening.store.database import DatabaseFolder, Row, sql
from screening.store.file_index import packed_series
from screening.store.rows import ReadStudy, outcome_row, series_rows, study_bmd_row, vertebra_rows

OUTCOME_COLUMNS: Final = ("status", "reason", "detail", "stage")
SERIES_COLUMNS: Final = (
    "series_instance_uid", "acquisition", "modality", "series_description", "image_type", "instance_count",
    "spacing_mm", "coverage_mm", "slice_thickness_mm", "obliquity_deg", "convolution_kernel", "kernel", "kvp_kv",
    "stated_phase", "aorta_hu", "kidney_hu", "air_hu", "fat_hu", "muscle_hu", "level_certainty", "level_detail",
    "chosen", "reason", "detail",
)  # fmt: skip
VERTEBRA_COLUMNS: Final = (
    "level", "confidence", "upper_z_mm", "lower_z_mm", "attenuation_hu", "attenuation_sd_hu", "attenuation_median_hu",
    "roi_area_mm2", "body_depth_mm", "anterior_height_mm", "middle_height_mm", "posterior_height_mm", "height_loss",
    "metal_mm3", "dark_share", "attended_hu", "bmd_cnn", "used", "reason",
)  # fmt: skip
VALUE_COLUMNS: Final = (
    "bmd_cnn", "bmd_low", "bmd_high", "t_score", "yam_percent", "reference", "category", "osteoporosis_probability",
    "band", "levels", "attenuation_hu", "level_certainty", "contrast_enhanced", "readers_disagree", "warnings",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a study ended and why; the rows are those of the tables, without patient identifiers."""

    study_instance_uid: str
    source: str  # where the facts are from
    age_years: float | None
    outcome: Row
    series: tuple[Row, ...]  # the chosen one last
    vertebrae: tuple[Row, ...]  # cranial first; empty where none was read
    value: Row | None  # None where the study was not measured

    def to_json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(asdict(self), indent=2)


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads a study."""

    localizer: Localizer
    predictor: Predictor
    settings: Settings

    def explain(self, study: Study, source: str) -> Explanation:
        """Read a study now and tell how it ends."""
        read = ReadStudy(
            study=study,
            outcome=outcome_of(study, self.localizer, self.predictor, self.settings),
            sweep_id=0,
            checkpoint_sha256=self.predictor.facts.sha256,
            study_key="",
            file_fingerprint="",
            reading_fingerprint="",
        )
        return Explanation(
            study_instance_uid=study.study_instance_uid,
            source=source,
            age_years=age_at_study_years(read.described_by),
            outcome=_columns(outcome_row(read), OUTCOME_COLUMNS),
            series=_rows(sorted(series_rows(read), key=lambda row: bool(row["chosen"])), SERIES_COLUMNS),
            vertebrae=_rows(vertebra_rows(read), VERTEBRA_COLUMNS),
            value=None if read.measured is None else _columns(study_bmd_row(read, read.measured), VALUE_COLUMNS),
        )


def explain_files(path: Path, reader: Reader) -> list[Explanation]:
    """Explain every study in a folder, or the part of one that a single file holds.

    Raises:
        UserError: no file is part of a study.
    """
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    instances, not_indexed = read_headers([_found(file) for file in files])
    problems = Counter(str(problem.problem) for _, problem in not_indexed)
    if not instances:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(problems.items())) or "no file at all"
        raise UserError(f"Found no DICOM image of a study in {path}: {reasons}.")
    left_out = "".join(f", {count} files {reason}" for reason, count in sorted(problems.items()))
    return [
        reader.explain(study, f"{study.instance_count} files read now{left_out}") for study in studies_of(instances)
    ]


def explain_study(place: DatabaseFolder, study_instance_uid: str, reader: Callable[[], Reader]) -> Explanation:
    """Explain a study of the database: read again where its files are at hand, else as it was recorded.

    Raises:
        UserError: there is no published database, or it does not know the study.
    """
    if not place.published.exists():
        raise UserError(f"No published database in {place.folder}: run screening sweep ARCHIVE first.")
    with duckdb.connect(place.published, read_only=True) as connection:
        packed = packed_series(connection, study_instance_uid)
        study = unpack_study(packed) if packed else None
        if study is None or not _at_hand(study):
            return _recorded(connection, study_instance_uid, known=study is not None)
    return reader().explain(study, "files of the archive, read now")


def _found(path: Path) -> FoundFile:
    status = path.stat()
    return FoundFile(path, status.st_size, status.st_mtime_ns)


def _at_hand(study: Study) -> bool:
    return all(os.access(instance.path, os.R_OK) for series in study.series for instance in series.instances)


def _recorded(connection: duckdb.DuckDBPyConnection, study_instance_uid: str, *, known: bool) -> Explanation:
    """Tell what the active checkpoint, or an earlier one, left in the books."""
    outcomes = _fetch(connection, "explained_outcome", [study_instance_uid])
    if not outcomes:
        told = "has not read this study yet, and its files cannot be reached" if known else "knows no study of this UID"
        raise UserError(f"The database {told}: sweep the archive that holds it, or give its folder instead.")
    key = [study_instance_uid, outcomes[0]["checkpoint_sha256"]]
    values = _fetch(connection, "explained_value", key)
    return Explanation(
        study_instance_uid=study_instance_uid,
        source=f"database, as read {outcomes[0]['read_at']:%Y-%m-%d %H:%M} UTC; its files cannot be reached",
        age_years=outcomes[0]["age_years"],
        outcome=_columns(outcomes[0], OUTCOME_COLUMNS),
        series=_rows(_fetch(connection, "explained_series", key[:1]), SERIES_COLUMNS),
        vertebrae=_rows(_fetch(connection, "explained_vertebrae", key), VERTEBRA_COLUMNS),
        value=_columns(values[0], VALUE_COLUMNS) if values else None,
    )


def _fetch(connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any]) -> list[dict[str, Any]]:
    result = connection.execute(sql(f"queries/{query}"), list(parameters))
    names = [name for name, *_ in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> tuple[Row, ...]:
    return tuple(_columns(row, columns) for row in rows)


def _columns(row: Mapping[str, Any], columns: Sequence[str]) -> Row:
    """Keep these columns; one that a row does not fill, as of a body that was not read, is NULL in the books."""
    return {column: row.get(column) for column in columns}
