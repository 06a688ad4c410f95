"""Published database and archive -> the file of a site's own pairs, and what became of every paired study.

All pairs of a file stand on the scale of one manufacturer: by the standardised BMD of the spine (1.0755 x Hologic,
0.9522 x GE Lunar) Lunar reads 13 % above Hologic, about one T-score. Where the bodies lie is known from the sweep, so a
study is read again for its pixels alone. The file names a patient by a keyed digest and holds no identifier, date or
description; its crops are patient data all the same.
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
from screening.exchange.pairs import PairedLevel, PairedPatient, SitePairs, joined, pairs_of
from screening.imaging.hounsfield import Volume, read_volume
from screening.imaging.lumbar import Vertebra
from screening.imaging.series_facts import acquisition_named
from screening.log import patient_key, site_key
from screening.progress import Progress
from screening.store.database import DatabaseFolder, sql
from screening.validation_settings import WINDOW_DAYS

WITHIN_DAYS: Final = WINDOW_DAYS
# Training fits slope and offset of BMD against attenuation; fewer patients leave the slope to chance.
FEW_PATIENTS: Final = 100


class LeftOut(StrEnum):
    """Why a study with a DXA near it gives no crops; what its series lacks is an `Exclusion`."""

    NO_L1_L4 = "no_bmd_of_l1_l4"
    OTHER_MANUFACTURER = "other_manufacturer"
    GONE = "gone_from_archive"
    CHANGED = "changed_since_it_was_read"
    UNREADABLE = "file_cannot_be_read"
    IDENTITY_CONFLICT = "identity_conflict"


@dataclass(frozen=True, slots=True)
class PairsExport:
    """What an export counted: every patient with a DXA near a measured study is written or in `left_out`."""

    manufacturer: str  # of the densitometers, "unknown" where not given
    patient_count: int
    body_count: int  # slices
    disc_count: int  # slices
    left_out: Mapping[str, int]  # reason -> studies, one a patient


def export_pairs(
    place: DatabaseFolder, output: Path, *, within_days: int, manufacturer: str | None, progress: Progress
) -> PairsExport:
    """Write the pairs of the published database; the database is only read.

    Args:
        place: the database.
        output: the .npz file to write.
        within_days: most days between a CT and its DXA.
        manufacturer: whose densitometers to take, in any case; None where all pairs are of one.
        progress: told of every study.

    Raises:
        UserError: there is no database, no pair, or none whose study can be read, the manufacturer must be chosen or is
            not among the pairs, or the file cannot be written.
    """
    if not place.published.exists():
        raise UserError(f"No published database in {place.folder}: run screening sweep ARCHIVE first.")
    if not output.parent.is_dir():
        raise UserError(f"Cannot write {output}: there is no folder {output.parent}.")
    with duckdb.connect(place.published, read_only=True) as connection:
        studies = _paired_studies(connection, within_days)
        taken = _one_manufacturer(studies, manufacturer)
        parts, left_out = _read_all(connection, _one_a_patient(studies, taken), taken, site_key(place.key), progress)
    if not parts:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(left_out.items()))
        raise UserError(f"No study with a DXA near it can be used: {reasons}.")
    pairs = joined([parts[patient] for patient in sorted(parts)])  # in no order that would tell who is who
    try:
        pairs.save(output)
    except OSError as error:
        raise UserError(f"Cannot write {output}: {error.strerror}.") from error
    return PairsExport(taken, len(parts), int(pairs.is_body.sum()), int((~pairs.is_body).sum()), left_out)


def _paired_studies(connection: duckdb.DuckDBPyConnection, within_days: int) -> list[dict[str, Any]]:
    """Rows of queries/paired_studies, of which at least one has a DXA of L1-L4.

    Raises:
        UserError: none has; says what is missing.
    """
    studies = _rows(connection, "paired_studies", {"within_days": within_days})
    if any(study["bmd_dxa"] is not None for study in studies):
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


def _one_manufacturer(studies: list[dict[str, Any]], wanted: str | None) -> str:
    """Name the manufacturer whose pairs are written, as the DXA spell it.

    Raises:
        UserError: there are several and none is wanted, or the one that is wanted has no pair.
    """
    patients = Counter(study["manufacturer"] for study in studies if study["manufacturer"] is not None)
    found = ", ".join(f"{name} ({count} patients)" for name, count in sorted(patients.items()))
    if wanted is None:
        if len(patients) > 1:
            raise UserError(f"The paired DXA are on different scales: {found}; choose one with --manufacturer NAME.")
        return str(next(iter(patients)))
    name = " ".join(wanted.split()).casefold()
    matching = [manufacturer for manufacturer in patients if manufacturer.casefold() == name]
    if not matching:
        raise UserError(f"No paired DXA is by a densitometer of {wanted!r}: choose --manufacturer from {found}.")
    return str(matching[0])


def _one_a_patient(studies: list[dict[str, Any]], manufacturer: str) -> list[dict[str, Any]]:
    """Keep the row of the manufacturer, and one row of a patient who has none."""
    kept: dict[str, dict[str, Any]] = {}
    for study in studies:
        if study["manufacturer"] == manufacturer or study["patient_id"] not in kept:
            kept[study["patient_id"]] = study
    return list(kept.values())


def _read_all(
    connection: duckdb.DuckDBPyConnection,
    studies: list[dict[str, Any]],
    manufacturer: str,
    key: bytes,
    progress: Progress,
) -> tuple[dict[str, SitePairs], dict[str, int]]:
    """Cut every study: pairs by patient, and how many studies were left out for which reason."""
    parts: dict[str, SitePairs] = {}
    left_out: Counter[str] = Counter()
    progress("studies", 0, len(studies))
    for number, study in enumerate(studies, start=1):
        name = patient_key(study["patient_id"], key)
        found = _unusable(study, manufacturer) or _study_pairs(connection, study, name)
        if isinstance(found, SitePairs):
            parts[name] = found
        else:
            left_out[str(found)] += 1
        progress("studies", number, len(studies))
    return parts, dict(left_out)


def _unusable(study: Mapping[str, Any], manufacturer: str) -> LeftOut | Exclusion | None:
    """Why a study must not be learned from, as far as the database knows."""
    if study["bmd_dxa"] is None:
        return LeftOut.NO_L1_L4
    if study["manufacturer"] != manufacturer:
        return LeftOut.OTHER_MANUFACTURER
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
    connection: duckdb.DuckDBPyConnection, study: Mapping[str, Any], name: str
) -> SitePairs | LeftOut | Exclusion:
    """Read the measured series of a study again and cut it, or say why that cannot be done."""
    measured = {key: study[key] for key in ("study_instance_uid", "checkpoint_sha256")}
    rows = _rows(connection, "paired_vertebrae", measured)
    try:
        volume = _volume(connection, rows[0] | measured)
    except FileNotFoundError:
        return LeftOut.GONE
    except OSError:
        return LeftOut.UNREADABLE
    except Excluded as excluded:
        return excluded.reason
    return pairs_of(volume, [_paired_level(row) for row in rows], PairedPatient(name, study["bmd_dxa"]))


def _volume(connection: duckdb.DuckDBPyConnection, measured: Mapping[str, Any]) -> Volume:
    """Read the acquisition again that was measured."""
    [(packed,)] = connection.execute(
        "SELECT instances FROM series_index WHERE study_instance_uid = ? AND series_instance_uid = ?",
        [measured["study_instance_uid"], measured["series_instance_uid"]],
    ).fetchall()
    series = Series(measured["series_instance_uid"], unpack(packed))
    return read_volume(acquisition_named(series, measured["acquisition"]))


def _paired_level(row: Mapping[str, Any]) -> PairedLevel:
    vertebra = Vertebra(
        level=row["level"],
        centre_mm=(row["centre_x_mm"], row["centre_y_mm"], row["centre_z_mm"]),
        upper_z_mm=row["upper_z_mm"],
        lower_z_mm=row["lower_z_mm"],
        confidence=row["confidence"],
    )
    return PairedLevel(vertebra, row["used"], row["attenuation_hu"], row["body_depth_mm"])


def _rows(connection: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    result = connection.execute(sql(f"queries/{query}"), dict(parameters))
    columns = [name for name, *_ in result.description or []]
    return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]
