"""What `screening bench` says, and what it refuses before any work."""

import json
from pathlib import Path

import pytest
import typer
from dicom_files import ct_slice, write
from structlog.testing import capture_logs
from typer.testing import CliRunner

from screening.commands.bench import bench
from screening.errors import UserError

APP = typer.Typer(pretty_exceptions_enable=False)
APP.command()(bench)


def run(*arguments: object) -> str:
    with capture_logs():  # the command line sends them to standard error
        result = CliRunner().invoke(APP, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    write(folder, "a/1", ct_slice(1))
    return folder


def test_json_is_all_that_is_printed(archive: Path) -> None:
    told = json.loads(run(archive, "--json"))
    assert told["statuses"] == {"excluded": 1}


def test_a_picture_is_drawn_beside_the_tables(archive: Path) -> None:
    run(archive, "--picture", archive.parent / "bench.png")
    assert (archive.parent / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("place", "message"), [("archive/x.png", "would lie in"), ("none/x.png", "Expected a folder")])
def test_a_picture_without_a_place_is_refused_before_the_work(archive: Path, place: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(archive, "--picture", archive.parent / place)


def test_a_wrong_archive_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Expected a folder"):
        run(tmp_path / "none")
