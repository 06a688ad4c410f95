import json
from dataclasses import replace
from pathlib import Path

import pytest
from dicom_files import ct_slice, write
from PIL import Image
from roi_predictor import RoiPredictor

from screening.bench import Bench, Stage, bench
from screening.bench_picture import write_picture
from screening.config import Settings
from screening.errors import UserError
from screening.imaging.lumbar import find_lumbar_spine

MEASURED = Bench(
    looked_at_count=1000,
    looked_at_all=True,
    sampled_count=400,
    not_indexed={"not_dicom": 3},
    walk=Stage("walk", "files", 1000, 0.01),
    headers=(
        Stage("raw read of heads", "files", 400, 0.004),
        Stage("headers", "files", 400, 0.04),
        Stage("headers by pydicom", "files", 400, 0.8),
    ),
    reading=(
        Stage("decode", "slices", 200, 0.5),
        Stage("localise, measure, draw", "slices", 200, 1.0),
        Stage("predict", "slices", 40, 0.5),
    ),
    statuses={"measured": 1, "excluded": 1},
    files_a_study=200.0,
    first_s=1.478,
    again_s=1.0,
    cores=2,
)


def measure(archive: Path, studies: int = 3) -> Bench:
    return bench(
        archive,
        find_lumbar_spine,
        RoiPredictor(),
        Settings(),
        files=5,
        studies=studies,
        progress=lambda what, done, total: None,
    )


def test_a_study_costs_its_walk_its_headers_and_its_reading() -> None:
    assert MEASURED.seconds_a_study == pytest.approx(200 * 0.00001 + 200 * 0.0001 + 1.478)
    assert MEASURED.studies_an_hour == pytest.approx(2400.0)


def test_nothing_is_said_of_studies_where_none_was_decoded() -> None:
    undecoded = Stage("decode", "slices", 0, 0.0)

    measured = replace(MEASURED, reading=(undecoded, *MEASURED.reading[1:]), statuses={"excluded": 2})

    assert measured.studies_an_hour is None
    assert measured.told_of_studies.startswith("no study of the sample was decoded")


def test_shares_of_time_are_those_of_one_study() -> None:
    shares = MEASURED.time_shares
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["decode"] / shares["headers"] == pytest.approx(0.25 / 0.02)
    assert list(shares) == ["walk", "headers", "decode", "localise, measure, draw", "predict"]


@pytest.mark.parametrize(
    ("count", "seconds", "words"),
    [(1000, 0.01, "100,000 files/s"), (3, 2.0, "1.5 files/s"), (0, 0.0, "none in the sample")],
)
def test_speed_in_words(count: int, seconds: float, words: str) -> None:
    assert Stage("walk", "files", count, seconds).speed == words


def test_every_study_of_the_sample_is_counted(simulated: Path) -> None:
    measured = measure(simulated / "archive", studies=1)
    assert sum(measured.statuses.values()) == 1
    assert measured.looked_at_all
    assert [stage.count for stage in measured.headers] == [5, 5, 5]
    assert all(stage.seconds > 0 for stage in (measured.walk, *measured.headers))
    assert measured.first_s > 0
    assert sum(measured.time_shares.values()) == pytest.approx(1.0)


def test_what_is_not_decoded_has_no_speed_and_odd_files_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "a/1", ct_slice(1, Modality="MR"))
    (tmp_path / "a" / "notes").write_text("no DICOM " * 40)
    measured = measure(tmp_path)
    assert (measured.statuses, measured.not_indexed) == ({"excluded": 1}, {"not_dicom": 1})
    assert measured.reading[0].per_second is None
    assert measured.files_a_study == 1.0


def test_nothing_is_written_into_the_archive(tmp_path: Path) -> None:
    write(tmp_path, "a/1", ct_slice(1))
    before = tmp_path.stat().st_mtime_ns, sorted(tmp_path.rglob("*"))
    measure(tmp_path)
    assert (tmp_path.stat().st_mtime_ns, sorted(tmp_path.rglob("*"))) == before


def test_a_folder_without_dicom_is_an_expected_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file at all"):
        measure(tmp_path)
    (tmp_path / "notes").write_text("no DICOM " * 40)
    with pytest.raises(UserError, match="not_dicom 1"):
        measure(tmp_path)
    with pytest.raises(UserError, match="Expected a folder"):
        measure(tmp_path / "none")


def test_everything_measured_is_in_the_json() -> None:
    told = json.loads(json.dumps(MEASURED.to_json()))
    assert told["headers"][0] == {"name": "raw read of heads", "of": "files", "count": 400, "seconds": 0.004}
    assert told["studies_an_hour"] == pytest.approx(2400.0)


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    write_picture(MEASURED, tmp_path / "bench.png")
    with Image.open(tmp_path / "bench.png") as picture:
        assert picture.format == "PNG"
        assert len(set(picture.convert("RGB").get_flattened_data())) > 5


def test_a_picture_that_cannot_be_written_is_an_expected_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Cannot write the picture"):
        write_picture(MEASURED, tmp_path)
