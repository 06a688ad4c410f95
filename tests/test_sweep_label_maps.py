"""A label map that comes, changes or goes beside a study makes the next sweep read that study again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dicom_files import ct_slice, write
from distributed import LocalCluster

from screening.config import Settings
from screening.store.database import DatabaseFolder
from screening.sweep import run_sweep


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A worker in this process: many short sweeps need no processes of their own."""
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


def studies_read(archive: Path, place: DatabaseFolder, scheduler: str, localizer: str = "segmentation") -> int:
    settings = Settings.model_validate({"sweep": {"scheduler": scheduler}, "lumbar": {"localizer": localizer}})
    return run_sweep([archive], place, settings, progress=lambda what, done, total: None).study_read_count


def test_only_the_study_beside_a_label_map_is_read_again(tmp_path: Path, scheduler: str) -> None:
    archive, place = tmp_path / "archive", DatabaseFolder(tmp_path / "db")
    for study in ("2.25.71", "2.25.72", "2.25.73"):
        write(archive, f"{study}/slice", ct_slice(StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1"))
    labels = archive / "2.25.72" / "ct_seg.nii.gz"

    first = studies_read(archive, place, scheduler)
    labels.write_bytes(b"one")
    come = studies_read(archive, place, scheduler)
    labels.write_bytes(b"other")
    changed = studies_read(archive, place, scheduler)
    labels.unlink()
    gone = studies_read(archive, place, scheduler)

    assert (first, come, changed, gone) == (3, 1, 1, 1)
    assert studies_read(archive, place, scheduler) == 0


def test_the_built_in_localiser_does_not_look_for_label_maps(tmp_path: Path, scheduler: str) -> None:
    archive, place = tmp_path / "archive", DatabaseFolder(tmp_path / "db")
    write(archive, "study/slice", ct_slice())
    studies_read(archive, place, scheduler, "built_in")
    (archive / "study" / "ct_seg.nii").write_bytes(b"labels")

    assert studies_read(archive, place, scheduler, "built_in") == 0
