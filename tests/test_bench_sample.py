import os
from pathlib import Path

from dicom_files import ct_slice, write

from screening.bench_sample import Sample, look_at, sample_of


def quiet(what: str, done: int, total: int) -> None:
    """Show nothing."""


def sampled(archive: Path, files: int, studies: int) -> Sample:
    return sample_of(look_at(archive, quiet), files, studies, quiet)


def patients(folder: Path, count: int, series: int) -> Path:
    """Write archive/patient/series/slice."""
    for patient in range(count):
        for number in range(series):
            uids = {"StudyInstanceUID": f"2.25.{patient}", "SeriesInstanceUID": f"2.25.{patient}.{number}"}
            write(folder, f"P{patient}/S{number}/1", ct_slice(**uids))
    return folder


def test_a_walk_counts_every_file(tmp_path: Path) -> None:
    look = look_at(patients(tmp_path, 3, 2), quiet)
    assert (look.file_count, look.whole) == (6, True)


def test_a_study_comes_with_all_its_series(tmp_path: Path) -> None:
    sample = sampled(patients(tmp_path, 4, 3), files=1, studies=2)
    assert [len(study.series) for study in sample.studies] == [3, 3]
    assert len(sample.files) == 6


def test_the_sample_grows_until_there_are_enough_files(tmp_path: Path) -> None:
    sample = sampled(patients(tmp_path, 4, 3), files=8, studies=1)
    assert (len(sample.studies), len(sample.files)) == (1, 9)


def test_studies_that_lie_in_the_archive_itself_are_found(tmp_path: Path) -> None:
    write(tmp_path, "1", ct_slice(1))
    write(tmp_path, "other/1", ct_slice(1, StudyInstanceUID="2.25.9", SeriesInstanceUID="2.25.9.1"))
    sample = sampled(tmp_path, files=10, studies=10)
    assert sorted(study.study_instance_uid for study in sample.studies) == ["2.25.1", "2.25.9"]


def test_the_same_archive_gives_the_same_sample(tmp_path: Path) -> None:
    archive = patients(tmp_path, 6, 1)
    assert sampled(archive, files=3, studies=1) == sampled(archive, files=3, studies=1)


def test_a_pipe_is_counted_and_not_read(tmp_path: Path) -> None:
    patients(tmp_path, 1, 1)
    os.mkfifo(tmp_path / "P0" / "S0" / "pipe")

    sample = sampled(tmp_path, files=10, studies=1)

    assert [file.path.name for file in sample.files] == ["1"]
    assert sample.problems == {"not_a_file": 1}
