"""A worker that sees the archive elsewhere reads it there and names it as the client does."""

import pickle
from pathlib import Path

import pytest
from dicom_files import ct_slice, found, write

from screening.archive.folder import walk
from screening.archive.header import read_header
from screening.archive.header_reader import index_headers
from screening.archive.index import Series, Study
from screening.path_mapping import index_headers_elsewhere, mapped, study_here

MAPPING = {"/archive": "/mnt/pacs", "/archive/old": "/tape/", "/data/": "/d"}


@pytest.mark.parametrize(
    ("path", "here"),
    [
        ("/archive/2024/a", "/mnt/pacs/2024/a"),
        ("/archive", "/mnt/pacs"),
        ("/archive/old/b", "/tape/b"),
        ("/archive/older/b", "/mnt/pacs/older/b"),
        ("/archives/c", "/archives/c"),
        ("/data/c", "/d/c"),
        ("/elsewhere/d", "/elsewhere/d"),
    ],
)
def test_the_longest_beginning_of_whole_names_is_replaced(path: str, here: str) -> None:
    assert mapped(path, MAPPING) == here


def test_a_mapping_of_the_root_maps_everything() -> None:
    assert mapped("/a/b", {"/": "/mnt"}) == "/mnt/a/b"


def test_headers_read_elsewhere_are_those_read_in_place(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    for number in range(1, 4):
        write(archive, f"one/{number}", ct_slice(number))
    (archive / "two").mkdir()
    (archive / "two" / "notes").write_text("no DICOM" * 40)
    listed = pickle.dumps([(listing.path, listing.files) for listing in walk([archive])])
    in_place = index_headers(listed)
    archive.rename(tmp_path / "moved")

    elsewhere = index_headers_elsewhere(listed, {str(archive): str(tmp_path / "moved")})

    series, problems = pickle.loads(elsewhere)
    expected_series, expected_problems = pickle.loads(in_place)
    assert series == expected_series
    assert [(file, problem.problem) for file, problem in problems] == [
        (file, problem.problem) for file, problem in expected_problems
    ]
    assert series[0].instance_count == 3


def test_a_study_is_opened_where_it_lies_on_the_worker(tmp_path: Path) -> None:
    instance = read_header(found(write(tmp_path, "a/slice", ct_slice())))
    study = Study("2.25.1", (Series("2.25.1.1", (instance,)),))

    assert study_here(study, {}) is study
    assert study_here(study, {str(tmp_path): "/mnt"}).first.path == Path("/mnt/a/slice")
