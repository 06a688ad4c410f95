import json
import zlib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from dicom_files import ct_slice, found, write

from screening.archive.header import read_header
from screening.archive.index import (
    PACK_VERSION,
    Instance,
    age_at_study_years,
    files_of,
    fingerprint,
    indexed_series,
    pack,
    series_of,
    studies_of,
    study_fingerprint,
    unpack,
    unpack_study,
)
from screening.errors import UserError


@pytest.fixture
def instances(tmp_path: Path) -> list[Instance]:
    return [read_header(found(write(tmp_path, f"{number}", ct_slice(number)))) for number in (1, 2, 3)]


def test_packing_loses_nothing(instances: list[Instance]) -> None:
    odd = replace(instances[0], patient_birth_date=date(1950, 2, 3), study_date=None, path=Path("caf\udce9"))
    assert unpack(pack([*instances, odd])) == (*instances, odd)


def test_packed_files_need_no_headers(instances: list[Instance]) -> None:
    assert list(files_of(pack(instances))) == [
        (instance.path, instance.size_bytes, instance.mtime_ns) for instance in instances
    ]


def test_an_empty_series_can_be_packed() -> None:
    assert unpack(pack([])) == ()
    assert list(files_of(pack([]))) == []


def test_series_are_told_apart_by_study_and_series(instances: list[Instance]) -> None:
    reused = replace(instances[0], study_instance_uid="2.25.2")
    grouped = series_of([*instances, reused])
    assert {key: len(series.instances) for key, series in grouped.items()} == {
        ("2.25.1", "2.25.1.1"): 3,
        ("2.25.2", "2.25.1.1"): 1,
    }


def test_series_of_one_study_come_together(instances: list[Instance]) -> None:
    other = replace(instances[1], series_instance_uid="2.25.1.2")
    elsewhere = replace(instances[2], study_instance_uid="2.25.0")
    studies = studies_of([*instances, other, elsewhere])
    assert [(study.study_instance_uid, len(study.series)) for study in studies] == [("2.25.0", 1), ("2.25.1", 2)]


def test_the_fingerprint_knows_the_file_set_and_not_its_order(instances: list[Instance]) -> None:
    whole = fingerprint(instances)
    assert fingerprint(reversed(instances)) == whole
    assert fingerprint(instances[:2]) != whole
    assert fingerprint([replace(instances[0], mtime_ns=1), *instances[1:]]) != whole
    assert fingerprint([replace(one, path=Path("/moved") / one.path.name) for one in instances]) == whole
    assert study_fingerprint([whole, "other"]) == study_fingerprint(["other", whole])


def test_a_study_is_unpacked_from_its_series(instances: list[Instance]) -> None:
    other = replace(instances[2], series_instance_uid="2.25.1.2")
    study = unpack_study([pack(instances[:2]), pack([other])])
    assert study.study_instance_uid == "2.25.1"
    assert [len(series.instances) for series in study.series] == [2, 1]


def test_age_comes_from_the_birth_date_before_patient_age(instances: list[Instance]) -> None:
    born = replace(instances[0], patient_birth_date=date(1974, 1, 15), patient_age_years=70.0)
    assert age_at_study_years(born) == 50.0
    assert age_at_study_years(replace(born, patient_birth_date=None)) == 70.0
    assert age_at_study_years(replace(born, study_date=None, patient_age_years=None)) is None


@pytest.mark.parametrize(
    ("born", "on", "whole_years"),
    [
        (date(1970, 1, 1), date(2020, 1, 1), 50),
        (date(1970, 1, 1), date(2019, 12, 31), 49),
        (date(1972, 2, 29), date(2022, 2, 28), 49),
        (date(1972, 2, 29), date(2022, 3, 1), 50),
        (date(2000, 6, 15), date(2018, 6, 14), 17),
    ],
)
def test_age_changes_on_the_birthday(instances: list[Instance], born: date, on: date, whole_years: int) -> None:
    age = age_at_study_years(replace(instances[0], patient_birth_date=born, study_date=on))
    assert age is not None
    assert int(age) == whole_years


@pytest.mark.parametrize("born", [date(1800, 1, 1), date(2025, 1, 1)])
def test_an_impossible_birth_date_gives_way_to_patient_age(instances: list[Instance], born: date) -> None:
    one = replace(instances[0], patient_birth_date=born, patient_age_years=55.0)
    assert age_at_study_years(one) == 55.0
    assert age_at_study_years(replace(one, patient_age_years=999.0)) is None


def test_the_packing_names_its_version_and_an_earlier_one_is_read(instances: list[Instance]) -> None:
    packed = pack(instances)
    columns = {name: [getattr(one, name) for one in instances] for name in Instance.__slots__}
    plain = {name: [value if isinstance(value, int | float | tuple | str | None) else str(value) for value in values]
             for name, values in columns.items()}  # fmt: skip
    version_1 = zlib.compress(json.dumps({"count": len(instances), "columns": plain}).encode())

    assert packed[:1] == PACK_VERSION
    assert unpack(version_1) == tuple(instances)
    assert list(files_of(version_1)) == list(files_of(packed))


def test_a_packing_of_a_later_version_is_refused(instances: list[Instance]) -> None:
    with pytest.raises(UserError, match="later version"):
        unpack(b"\x03" + pack(instances)[1:])


def test_a_copy_is_kept_in_the_books_and_left_out_of_the_series(instances: list[Instance]) -> None:
    copy = replace(instances[1], path=Path("/zzz/copy"), mtime_ns=5)
    other = replace(instances[1], path=Path("/zzz/other"), patient_id="OTHER")

    series = indexed_series("2.25.1", "2.25.1.1", [copy, other, *instances])

    assert (series.instance_count, series.copy_count) == (4, 1)
    assert unpack(series.packed) == (*instances, other)
    assert unpack(series.packed, copies=True) == (*instances, copy, other)
    assert len(list(files_of(series.packed))) == 5
    assert series.fingerprint == fingerprint([*instances, other])


def test_a_series_without_files_is_packed_too() -> None:
    series = indexed_series("2.25.1", "2.25.1.1", [])
    assert (series.instance_count, series.newest_mtime_ns, series.folders) == (0, 0, ())
