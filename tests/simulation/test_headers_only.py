from pathlib import Path

import pydicom
import pytest

from screening.archive.folder import files_below
from screening.archive.header import FoundFile, read_header
from screening.archive.header_reader import HeaderReader
from screening.archive.index import Instance
from screening.simulation.headers_only import SERIES_FILES, write_headers_only

FILES = 3 * SERIES_FILES + 10


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[FoundFile]:
    folder = tmp_path_factory.mktemp("headers")
    write_headers_only(folder, FILES, seed=1)
    return list(files_below(folder))


@pytest.fixture(scope="module")
def instances(files: list[FoundFile]) -> list[Instance]:
    reader = HeaderReader()
    return [reader.read(file) for file in files]


def test_every_file_is_an_instance_of_its_own(instances: list[Instance]) -> None:
    assert len(instances) == len({one.sop_instance_uid for one in instances}) == FILES
    assert len({one.study_instance_uid for one in instances}) == 4
    assert len({one.series_instance_uid for one in instances}) == 4
    assert len({one.patient_id for one in instances}) == 4


def test_the_slices_of_a_series_follow_each_other(instances: list[Instance]) -> None:
    first = [one for one in instances if one.study_instance_uid == instances[0].study_instance_uid]
    z = [one.image_position_patient[2] for one in first if one.image_position_patient]
    assert [one.instance_number for one in first] == list(range(1, SERIES_FILES + 1))
    assert z == sorted(z, reverse=True)
    assert len(set(z)) == SERIES_FILES


def test_pydicom_reads_the_same_and_finds_all_pixels(files: list[FoundFile], instances: list[Instance]) -> None:
    assert [read_header(file) for file in files[::50]] == instances[::50]
    assert pydicom.dcmread(files[0].path).pixel_array.shape == (512, 512)


def test_the_pixels_take_no_space(files: list[FoundFile]) -> None:
    status = files[0].path.stat()
    assert status.st_size > 500_000
    assert status.st_blocks * 512 < 20_000


def test_the_same_seed_writes_the_same_files(files: list[FoundFile], tmp_path: Path) -> None:
    write_headers_only(tmp_path, 2, seed=1)
    again = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    names = {path.relative_to(tmp_path).parts for path in again}
    same = [file.path for file in files if file.path.parts[-4:] in names]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in same]


def test_progress_counts_the_files_written(tmp_path):
    counts = []

    write_headers_only(tmp_path, 600, 1, counts.append)

    assert counts == [250, 500, 600]
