from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from dicom_files import ct_slice, found, write

from screening.archive.header import read_header
from screening.archive.index import (
    Instance,
    age_at_study_years,
    files_of,
    fingerprint,
    pack,
    series_of,
    study_fingerprint,
    unpack,
    unpack_study,
)


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


def test_the_fingerprint_knows_the_file_set_and_not_its_order(instances: list[Instance]) -> None:
    whole = fingerprint(instances)
    assert fingerprint(reversed(instances)) == whole
    assert fingerprint(instances[:2]) != whole
    assert fingerprint([replace(instances[0], mtime_ns=1), *instances[1:]]) != whole
    assert study_fingerprint([whole, "other"]) == study_fingerprint(["other", whole])


def test_a_study_is_unpacked_from_its_series(instances: list[Instance]) -> None:
    other = replace(instances[2], series_instance_uid="2.25.1.2")
    study = unpack_study([pack(instances[:2]), pack([other])])
    assert study.study_instance_uid == "2.25.1"
    assert [len(series.instances) for series in study.series] == [2, 1]


def test_age_comes_from_the_birth_date_before_patient_age(instances: list[Instance]) -> None:
    born = replace(instances[0], patient_birth_date=date(1974, 1, 15), patient_age_years=70.0)
    assert age_at_study_years(born) == pytest.approx(50.0, abs=0.01)
    assert age_at_study_years(replace(born, patient_birth_date=None)) == 70.0
    assert age_at_study_years(replace(born, study_date=None, patient_age_years=None)) is None
