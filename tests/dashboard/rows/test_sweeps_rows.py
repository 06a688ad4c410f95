"""What is known of each night, asked of publications whose rows are known."""

import shutil
from pathlib import Path

import duckdb
import published_example as example
import published_nights as nights
import pytest

from dashboard import queries
from dashboard.rows import sweeps as rows
from screening.errors import UserError
from screening.store.database import DatabaseFolder
from screening.store.sweep_state import SweepTeller


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nights")
    nights.publish_nights(folder)
    return folder


@pytest.fixture
def last(folder: Path, hospital: Path) -> queries.Publication:
    shutil.copytree(hospital, folder, symlinks=True, dirs_exist_ok=True)
    return queries.publication()


def night(published: queries.Publication, sweep_id: int | None = None) -> rows.Night:
    return rows.night(rows.nights(published), sweep_id)


def test_nights_come_newest_first(last: queries.Publication) -> None:
    assert list(rows.nights(last)["sweep_id"]) == [7, 6, 5, 4, 3, 2, 1]


def test_newest_night_is_the_default(last: queries.Publication) -> None:
    assert night(last).sweep_id == night(last, 99).sweep_id == 7


def test_night_has_what_the_sweep_counted(last: queries.Publication) -> None:
    one = night(last, 1)

    assert (one.study_read_count, one.measured_count, one.excluded_count, one.failed_count) == (700, 600, 90, 10)
    assert (one.duration_hours, one.studies_per_hour) == (2.5, 280.0)
    assert one.failed_share_percent == pytest.approx(100 * 10 / 700)


def test_interrupted_night_has_no_counts(last: queries.Publication) -> None:
    interrupted = night(last, 2)

    assert not interrupted.ended
    assert interrupted.study_read_count is None
    assert interrupted.duration_hours is None
    assert not interrupted.failed_too_often


@pytest.mark.parametrize(("sweep_id", "too_often"), [(3, False), (4, True), (5, False), (7, True)])
def test_failed_share_is_held_against_the_limit_of_that_night(
    last: queries.Publication, sweep_id: int, too_often: bool
) -> None:
    assert night(last, sweep_id).failed_too_often is too_often


def test_share_at_the_limit_is_within_it(folder: Path) -> None:
    sweep = nights.sweep_row(1, "completed", 19, 0, 1)
    example.publish_rows(folder, 1, {"sweep": [sweep], "model": [example.MODEL]})

    assert not night(queries.publication()).failed_too_often


def test_night_of_a_configuration_without_limit_is_held_against_none(folder: Path) -> None:
    sweep = nights.sweep_row(1, "completed", 0, 0, 9) | {"config": "{}"}
    example.publish_rows(folder, 1, {"sweep": [sweep], "model": [example.MODEL]})
    one = night(queries.publication())

    assert one.failed_share_limit_percent is None
    assert not one.failed_too_often


@pytest.mark.parametrize(("sweep_id", "adds_up"), [(4, True), (5, False), (7, True)])
def test_books_add_up_or_not(last: queries.Publication, sweep_id: int, adds_up: bool) -> None:
    assert night(last, sweep_id).adds_up is adds_up


def test_books_have_two_sides_of_the_same_sum(last: queries.Publication) -> None:
    (_, files_found, files_accounted), (_, series_found, series_accounted) = rows.sides(rows.ledger(last, 7))

    assert files_found["item_count"].sum() == files_accounted["item_count"].sum() == 1000
    assert series_found["item_count"].sum() == series_accounted["item_count"].sum() == 20


def test_books_that_were_not_kept_have_no_side(last: queries.Publication) -> None:
    assert rows.sides(rows.ledger(last, 2)) == []


def test_failures_of_a_night_are_those_it_read_last(last: queries.Publication) -> None:
    failed = rows.failures(last, 7)

    assert list(failed["study_instance_uid"]) == [nights.NEWLY_FAILED[0]]
    assert failed["patient_page"].iloc[0] == f"/patient?study={nights.NEWLY_FAILED[0]}"
    assert (failed["stage"].iloc[0], failed["reason"].iloc[0]) == ("screening.imaging.hounsfield", "MemoryError")


def test_unmeasured_studies_are_counted_by_reason(last: queries.Publication) -> None:
    excluded = rows.unmeasured(last, 6, "excluded")
    failed = rows.unmeasured(last, 6, "failed")

    assert sorted(zip(excluded["reason"], excluded["study_count"], strict=True)) == [("contrast", 1), ("too_thick", 1)]
    assert list(failed["reason"]) == ["ValueError"]


def test_file_problems_are_counted_by_reason(last: queries.Publication) -> None:
    problems = rows.file_problems(last)

    assert list(zip(problems["reason"], problems["file_count"], problems["size_mb"], strict=True)) == [
        ("broken_header", 2, 4.0),
        ("not_dicom", 1, 2.0),
    ]
    assert list(rows.problem_files(last, "not_dicom")["path"]) == ["/archive/notes.txt"]


def test_flow_adds_up_at_every_stage(last: queries.Publication) -> None:
    flow = rows.flow(last)
    reached = flow[flow["reason"].isna()].set_index("step")["study_count"]
    stopped = flow.dropna(subset="reason").groupby("step")["study_count"].sum().reindex(reached.index, fill_value=0)

    assert list(reached.iloc[:-1] - stopped.iloc[1:].to_numpy()) == list(reached.iloc[1:])


def test_changes_are_those_between_the_two_publications(last: queries.Publication) -> None:
    changes = rows.compared(last, 7)

    assert changes is not None
    assert changes.publication_id == 1
    assert not changes.other_checkpoint
    assert changes.newly_measured_count == 1
    assert list(changes.came["patient_id"]) == ["FLAGGED-2"]
    assert list(zip(changes.left["patient_id"], changes.left["why"], strict=True)) == [
        ("RECENT-DXA", "no_dxa_in_look_back"),
        ("DISMISSED", "dismissed"),
    ]
    assert list(changes.failed["reason"]) == ["MemoryError"]
    assert list(zip(changes.recovered["status"], changes.recovered["reason"], strict=True)) == [
        ("excluded", "contrast")
    ]


def test_patient_flagged_again_is_not_flagged_for_the_first_time(folder: Path) -> None:
    before, now = nights.before_rows(), nights.now_rows()
    before["publication"] = [nights.publication_row(1, 6)]
    earlier = {
        "patient_id": "FLAGGED-2", "study_instance_uid": "2.25.1", "flagged_on": nights.started_at(3).date(),
        "publication_id": 1,
    }  # fmt: skip
    now["flag_event"] = [*now["flag_event"], earlier]
    example.publish_rows(folder, 1, before)
    example.publish_rows(folder, 2, now)
    changes = rows.compared(queries.publication(), 7)

    assert changes is not None
    assert list(changes.came["first_time"]) == [False]


@pytest.mark.parametrize(
    ("fact", "why"),
    [
        ("death", "alive"),
        ("diagnosis", "no_known_osteoporosis"),
        ("treatment", "not_treated"),
        ("opt_out", "not_opted_out"),
    ],
)
def test_patient_leaves_for_the_criterion_that_does_not_hold(folder: Path, fact: str, why: str) -> None:
    before, now = nights.rows_of((example.FIRST,), 6), nights.rows_of((example.FIRST,), 7)
    context = {
        "patient_id": "FLAGGED-1", "fact": fact, "holds": True, "source_file": "list.csv",
        "recorded_on": example.READ_AT.date(), "imported_at": example.READ_AT,
    }  # fmt: skip
    now["patient_context"] = [context]
    example.publish_rows(folder, 1, before)
    example.publish_rows(folder, 2, now)
    changes = rows.compared(queries.publication(), 7)

    assert changes is not None
    assert list(changes.left["why"]) == [why]


def test_patient_whose_newest_ct_is_not_likely_leaves_for_its_number(folder: Path) -> None:
    higher = example.Measured("FLAGGED-1", "F", 72.9, -1.5, "osteopenia", "not_flagged", nights.started_at(6).date())
    example.publish_rows(folder, 1, nights.rows_of((example.FIRST,), 6))
    example.publish_rows(folder, 2, nights.rows_of((example.FIRST, higher), 7))
    changes = rows.compared(queries.publication(), 7)

    assert changes is not None
    assert list(changes.left["why"]) == ["likely_osteoporosis"]


def test_other_checkpoint_is_told(folder: Path) -> None:
    now = nights.now_rows()
    other = {**example.MODEL, "checkpoint_sha256": "0" * 64, "name": "site"}
    now["model"] = [{**example.MODEL, "active": False}, other]
    example.publish_rows(folder, 1, nights.before_rows())
    example.publish_rows(folder, 2, now)
    changes = rows.compared(queries.publication(), 7)

    assert changes is not None
    assert changes.other_checkpoint


def test_cleared_publication_cannot_be_compared(last: queries.Publication) -> None:
    Path(last.path).with_name("screening-000001.duckdb").unlink()

    assert rows.compared(last, 7) is None


def test_later_publication_of_the_day_stands_in_for_one_cleared_away(folder: Path) -> None:
    import_of_the_day = nights.publication_row(2, 6)
    now = nights.now_rows()
    now["publication"] = [nights.publication_row(1, 6), import_of_the_day, {**nights.publication_row(3, 7)}]
    example.publish_rows(folder, 2, nights.before_rows())
    example.publish_rows(folder, 3, now)
    changes = rows.compared(queries.publication(), 7)

    assert changes is not None
    assert changes.publication_id == 2


def test_publication_of_another_version_is_said_to_be_one(last: queries.Publication) -> None:
    earlier = Path(last.path).with_name("screening-000001.duckdb")
    earlier.unlink()
    duckdb.connect(str(earlier)).close()
    with pytest.raises(UserError, match="another version"):
        rows.compared(last, 7)


@pytest.mark.parametrize(("sweep_id", "first"), [(1, True), (2, False), (7, False)])
def test_first_night_has_none_before_it(last: queries.Publication, sweep_id: int, first: bool) -> None:
    assert rows.is_first(rows.nights(last), sweep_id) is first


@pytest.mark.parametrize(("sweep_id", "is_told"), [(7, False), (8, True)])
def test_sweep_that_broke_off_is_told_unless_it_was_published(
    last: queries.Publication, sweep_id: int, is_told: bool
) -> None:
    place = DatabaseFolder(Path(last.path).parents[1])
    with pytest.raises(ValueError), SweepTeller(place, lambda *_: None) as telling:
        telling.begin(sweep_id)
        raise ValueError

    assert (rows.told(rows.nights(last)) is not None) is is_told
