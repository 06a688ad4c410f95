"""The fast reading against pydicom's: the same instance or the same problem, for every file there is."""

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import pydicom.data
import pytest
from archive.odd_headers import odd_series
from dicom_files import ct_slice, found, write
from scale.header_equality import FAULTS, compared, write_series

from screening.archive.header import FileProblem, FoundFile, NotIndexed, read_header
from screening.archive.header_reader import HeaderReader, read_headers
from screening.archive.header_walk import Head, Unusual, ordinary_header
from screening.archive.index import Instance

ZOO = Path(__file__).parents[2].parent / "shared" / "data" / "zoo"
SHIPPED = Path(pydicom.data.__file__).parent

Outcome = Instance | tuple[FileProblem, str]


def fast(files: Iterable[FoundFile]) -> tuple[list[Outcome], dict[str, int]]:
    reader = HeaderReader()
    return [outcome(reader.read, file) for file in files], reader.counts


def outcome(read, file: FoundFile) -> Outcome:  # type: ignore[no-untyped-def]
    try:
        return read(file)  # type: ignore[no-any-return]
    except NotIndexed as refused:
        return refused.problem, refused.detail


def by_pydicom(files: Iterable[FoundFile]) -> list[Outcome]:
    return [outcome(read_header, file) for file in files]


def files_below(folder: Path) -> list[FoundFile]:
    return [found(path) for path in sorted(folder.rglob("*")) if path.is_file()]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.skipif(not ZOO.exists(), reason="needs ../shared/data/zoo")
def test_the_zoo_reads_as_with_pydicom() -> None:
    files = files_below(ZOO)
    outcomes, counts = fast(files)
    assert outcomes == by_pydicom(files)
    assert counts["layout"] + counts["walk"] > 80


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_files_that_pydicom_ships_read_as_with_pydicom() -> None:
    files = files_below(SHIPPED)
    assert fast(files)[0] == by_pydicom(files)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("seed", range(50))
def test_odd_headers_read_as_with_pydicom(tmp_path: Path, seed: int) -> None:
    for number, content in enumerate(odd_series(seed)):
        (tmp_path / f"{number}").write_bytes(content)
    files = files_below(tmp_path)
    assert fast(files)[0] == by_pydicom(files)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_planted_in_the_fast_reading_is_found(
    tmp_path: Path, fault: Callable[[], AbstractContextManager[None]]
) -> None:
    with fault():
        differing = [compared(write_series(tmp_path, seed)).differences for seed in (7, 41)]
    assert any(differing)


def test_a_series_is_walked_once_and_then_read_by_its_layout(tmp_path: Path) -> None:
    files = [found(write(tmp_path, f"{number}", ct_slice(number))) for number in range(10, 60)]
    outcomes, counts = fast(files)
    assert outcomes == by_pydicom(files)
    assert counts == {"layout": 48, "walk": 2, "pydicom": 0}  # 95.0 and 100.0 differ in length


def test_a_value_that_differs_within_a_series_is_seen(tmp_path: Path) -> None:
    files = [
        found(write(tmp_path, name, ct_slice(number, AcquisitionNumber=number, XRayTubeCurrent=current)))
        for name, number, current in (("a", 1, "200"), ("b", 2, "210"), ("c", 2, "200"))
    ]
    outcomes, _ = fast(files)
    assert [(one.acquisition_number, one.x_ray_tube_current_ma) for one in outcomes if isinstance(one, Instance)] == [
        (1, 200.0),
        (2, 210.0),
        (2, 200.0),
    ]


def test_a_header_longer_than_the_first_read_is_ordinary(tmp_path: Path) -> None:
    dataset = ct_slice()
    dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", bytes(100_000))
    file = found(write(tmp_path, "long", dataset))
    outcomes, counts = fast([file, file])
    assert outcomes == by_pydicom([file, file])
    assert counts["pydicom"] == 0


def test_whatever_is_unusual_is_refused_by_the_walk(tmp_path: Path) -> None:
    path = write(tmp_path, "big", ct_slice())
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"))
    descriptor = os.open(path, os.O_RDONLY)
    with pytest.raises(Unusual, match="transfer syntax"):
        ordinary_header(Head(descriptor))
    os.close(descriptor)


def test_every_file_of_a_batch_is_in_one_of_the_results(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no DICOM " * 40)
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    write(tmp_path, "slice", ct_slice())
    gone = FoundFile(tmp_path / "gone", 1, 1)
    closed = FoundFile(tmp_path / "closed", 0, 0, unreachable=True)

    batch = [found(path) for path in sorted(tmp_path.iterdir())]
    instances, problems = read_headers([*batch, gone, closed])

    assert [instance.path.name for instance in instances] == ["slice"]
    assert [(file.path.name, str(problem.problem)) for file, problem in problems] == [
        ("empty", "empty"),
        ("notes", "not_dicom"),
        ("pipe", "not_a_file"),
        ("gone", "vanished"),
        ("closed", "not_reachable"),
    ]
