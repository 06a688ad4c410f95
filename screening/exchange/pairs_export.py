"""Published database and archive -> the file of a site's own pairs, and what became of every paired study.

Where the bodies lie is known from the sweep, so a study is read again for its pixels alone. The file names a patient by
a keyed digest and holds no identifier, date or description; its crops are patient data all the same.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import duckdb

from screening.archive.index import Series, study_fingerprint, unpack
from screening.errors import Excluded, Exclusion, UserError
from screening.exchange.pairs import PairedLevel, SitePairs, joined, pairs_of
from screening.imaging.hounsfield import Volume, read_volume
from screening.imaging.lumbar import Vertebra
from screening.log import patient_key, site_key
from screening.progress import Progress
from screening.store.database import DatabaseFolder, sql

WITHIN_DAYS: Final = 180  # the limit of the view validation_pair
# Training fits slope and offset of BMD against attenuation; fewer patients leave the slope to chance.
FEW_PATIENTS: Final = 100


class LeftOut(StrEnum):
    """Why a paired study gives no crops; what its series lacks is an `Exclusion`."""

    GONE = "gone_from_archive"
    CHANGED = "changed_since_it_was_read"
    UNREADABLE = "file_cannot_be_read"
    IDENTITY_CONFLICT = "identity_conflict"


@dataclass(frozen=True, slots=True)
class PairsExport:
    """What an export counted: every paired study is one of the patients or in `left_out`."""

    patient_count: int
    body_count: int  # slices
    disc_count: int  # slices
    left_out: Mapping[str, int]  # reason -> studies


def export_pairs(place: DatabaseFolder, output: Path, *, within_days: int, progress: Progress) -> PairsExport:
    """Write the pairs of the published database; the database is only read.

    Raises:
        UserError: there is no database, no pair, or none whose study can be read, or the file cannot be written.
    """
    if not place.published.exists():
        raise UserError(f"No published database in {place.folder}: run screening sweep ARCHIVE first.")
    if not output.parent.is_dir():
        raise UserError(f"Cannot write {output}: there is no folder {output.parent}.")
    with duckdb.connect(place.published, read_only=True) as connection:
        parts, left_out = _read_all(connection, _paired_studies(connection, within_days), site_key(place.key), progress)
    if not parts:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(left_out.items()))
        raise UserError(f"No study with a DXA near it can be used: {reasons}.")
    pairs = joined([parts[patient] for patient in sorted(parts)])  # in no order that would tell who is who
    try:
        pairs.save(output)
    except OSError as error:
        raise UserError(f"Cannot write {output}: {error.strerror}.") from error
    return PairsExport(len(parts), int(pairs.is_body.sum()), int((~pairs.is_body).sum()), left_out)


def _paired_studies(connection: duckdb.DuckDBPyConnection, within_days: int) -> list[dict[str, Any]]:
    """Rows of queries/paired_studies.

    Raises:
        UserError: there is none; says what is missing.
    """
    studies = _rows(connection, "paired_studies", {"within_days": within_days})
    if studies:
        return studies
    [(results,)] = connection.execute(
        "SELECT count(*) FROM dxa WHERE region = 'L1-L4' AND bmd_dxa IS NOT NULL"
    ).fetchall()
    if not results:
        raise UserError("No areal BMD of L1-L4 in the database: import your DXA with screening import dxa FILE.csv.")
    raise UserError(
        f"None of the {results} DXA results of L1-L4 belongs to a measured study within {within_days} days: "
        "sweep the archive of the same patients, or allow more days with --within-days."
    )


def _read_all(
    connection: duckdb.DuckDBPyConnection, studies: list[dict[str, Any]], key: bytes, progress: Progress
) -> tuple[dict[str, SitePairs], dict[str, int]]:
    """Cut every study: pairs by patient, and how many studies were left out for which reason."""
    parts: dict[str, SitePairs] = {}
    left_out: Counter[str] = Counter()
    progress("studies", 0, len(studies))
    for number, study in enumerate(studies, start=1):
        patient = patient_key(study["patient_id"], key)
        found = _unusable(study) or _study_pairs(connection, study["study_instance_uid"], patient)
        if isinstance(found, SitePairs):
            parts[patient] = found
        else:
            left_out[str(found)] += 1
        progress("studies", number, len(studies))
    return parts, dict(left_out)


def _unusable(study: Mapping[str, Any]) -> LeftOut | Exclusion | None:
    """Why a study must not be learned from, as far as the database knows."""
    if study["identity_conflict"]:
        return LeftOut.IDENTITY_CONFLICT  # the DXA may be of somebody else
    if study["contrast_enhanced"]:
        return Exclusion.CONTRAST  # raises the attenuation of bone, but not its DXA
    if study["fingerprints_present"] is None:
        return LeftOut.GONE
    if study_fingerprint(study["fingerprints_present"]) != study["fingerprint_read"]:
        return LeftOut.CHANGED
    return None


def _study_pairs(
    connection: duckdb.DuckDBPyConnection, study_instance_uid: str, patient: str
) -> SitePairs | LeftOut | Exclusion:
    """Read the measured series of a study again and cut it, or say why that cannot be done."""
    rows = _rows(connection, "paired_vertebrae", {"study_instance_uid": study_instance_uid})
    try:
        volume = _volume(connection, study_instance_uid, rows[0]["series_instance_uid"])
    except FileNotFoundError:
        return LeftOut.GONE
    except OSError:
        return LeftOut.UNREADABLE
    except Excluded as excluded:
        return excluded.reason
    return pairs_of(volume, [_paired_level(row) for row in rows], patient)


def _volume(connection: duckdb.DuckDBPyConnection, study_instance_uid: str, series_instance_uid: str) -> Volume:
    [(packed,)] = connection.execute(
        "SELECT instances FROM series_index WHERE study_instance_uid = ? AND series_instance_uid = ?",
        [study_instance_uid, series_instance_uid],
    ).fetchall()
    return read_volume(Series(series_instance_uid, unpack(packed)))


def _paired_level(row: Mapping[str, Any]) -> PairedLevel:
    vertebra = Vertebra(
        level=row["level"],
        centre_mm=(row["centre_x_mm"], row["centre_y_mm"], row["centre_z_mm"]),
        upper_z_mm=row["upper_z_mm"],
        lower_z_mm=row["lower_z_mm"],
        confidence=row["confidence"],
    )
    return PairedLevel(vertebra, row["used"], row["attenuation_hu"], row["body_depth_mm"], row["bmd_dxa"])


def _rows(connection: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    result = connection.execute(sql(f"queries/{query}"), dict(parameters))
    columns = [name for name, *_ in result.description or []]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
