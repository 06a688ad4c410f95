"""The page of sweeps in every state, for every role."""

import shutil
from pathlib import Path

import published_example as example
import published_nights as nights
import pytest
from page_runs import APP, assert_labelled, run_page, written
from streamlit.testing.v1 import AppTest

from dashboard import access
from dashboard.access import Visitor
from screening.dashboard_settings import Role
from screening.errors import UserError
from screening.store.audit import entries
from screening.store.database import DatabaseFolder
from screening.store.sweep_state import SweepTeller

CHANGES, FLOW, BOOKS, EVERY_NIGHT = "Since the night before", "Where studies went", "Books and files", "Every night"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nights")
    nights.publish_nights(folder)
    return folder


@pytest.fixture
def place(folder: Path, hospital: Path) -> DatabaseFolder:
    shutil.copytree(hospital, folder, symlinks=True, dirs_exist_ok=True)
    return DatabaseFolder(folder)


@pytest.fixture
def researcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "visitor", lambda: Visitor("R", frozenset({Role.RESEARCH})))


def details(place: DatabaseFolder) -> list[str]:
    """Return what this page entered into the audit trail; on the way to it the start page enters its own."""
    trail = entries(place, 100)
    return list(trail.loc[trail["detail"].str.contains("sweep"), "detail"])


def run_as_start_page(**address: str) -> AppTest:
    """Run the page for a role to whom it is the first."""
    at = AppTest.from_file(APP, default_timeout=30)
    at.query_params.update(address)
    return at.run()


def unseen(what: str, done: int, total: int) -> None:
    """Show nothing."""


def test_database_without_sweep_says_how_to_fill_the_page(folder: Path) -> None:
    example.publish_rows(folder, 1, {})
    at = run_page("sweeps")

    assert_labelled(at)
    assert "screening sweep" in at.info[0].value
    assert len(at.metric) == 0


def test_last_night_stands_at_a_glance(place: DatabaseFolder) -> None:
    at = run_page("sweeps")
    text = written(at)

    assert_labelled(at)
    assert "No sweep is running." in text
    assert "Studies read 3 of 707 found" in text
    assert "Measured 1 1 excluded" in text
    assert "Failed 1 33.3 %, limit 5 %" in text
    assert "Waiting 0 1 more still arriving" in text
    assert "Duration 2.5 h 01:30 UTC to 04:00 UTC" in text
    assert "New files 990 of 127,000 found" in text
    assert "Headers read 1,000 10 changed, 4 moved, 2 gone" in text
    assert "software 0.1.0" in text
    assert example.CHECKPOINT[:12] in text


def test_failed_share_above_the_limit_is_said(place: DatabaseFolder) -> None:
    assert [error.value for error in run_page("sweeps").error] == [
        "33.3 % of the studies read failed; the limit is 5.0 %."
    ]


@pytest.mark.parametrize(
    ("night", "said"),
    [
        ("2", "interrupted and has no counts"),
        ("3", "stopped before its end: 12 studies wait"),
        ("5", "1,000 files found, 993 accounted for; 20 series found, 20 accounted for"),
        ("6", ""),
        ("99", "There is no sweep of this number"),
    ],
)
def test_night_of_the_address_says_what_is_wrong_with_it(place: DatabaseFolder, night: str, said: str) -> None:
    at = run_page("sweeps", night=night)

    assert_labelled(at)
    assert said in " ".join(str(one.value) for one in [*at.warning, *at.error])


def test_chosen_night_is_shown_and_stands_in_the_address(place: DatabaseFolder) -> None:
    at = run_page("sweeps")
    at.selectbox[0].set_value(4).run()

    assert_labelled(at)
    assert "Studies read 40 of 704 found" in written(at)
    assert at.query_params["night"] == "4"


def test_failures_come_with_the_command_that_tells_more(place: DatabaseFolder) -> None:
    at = run_page("sweeps")
    failures = at.dataframe[0].value

    assert list(failures["accession_number"]) == ["A-5.905"]
    assert list(failures["reason"]) == ["MemoryError"]
    assert at.code[0].value == f"screening explain {nights.NEWLY_FAILED[0]} --database {place.folder}"
    assert list(at.dataframe[1].value["reason"]) == ["Contrast-enhanced"]
    assert details(place) == ["failures of sweep 7"]


def test_failures_that_were_read_again_are_said_to_be_missing(place: DatabaseFolder) -> None:
    text = written(run_page("sweeps", night="4"))

    assert "6 failed that night; listed are those that no later sweep has read again." in text


def test_role_without_patients_sees_counts_and_no_study(place: DatabaseFolder, researcher: None) -> None:
    at = run_page("sweeps")

    assert_labelled(at)
    assert list(at.dataframe[0].value.columns) == ["stage", "reason", "study_count"]
    assert len(at.code) == 0
    assert "Your role sees counts" in written(at)
    assert details(place) == []


def test_changes_are_listed_with_their_reasons(place: DatabaseFolder) -> None:
    at = run_page("sweeps", show=CHANGES)
    came, left, failed, recovered = [one.value for one in at.dataframe]

    assert_labelled(at)
    assert "Against publication 1 of 2026-02-28 04:01 UTC." in written(at)
    assert [metric.value for metric in at.metric[-5:]] == ["1", "1", "2", "1", "1"]
    assert list(came["why"]) == ["For the first time"]
    assert list(left["why"]) == [
        "Not met: No central DXA in the 36 months before 2026-03-01",
        "A reviewer decided: Dismissed",
    ]
    assert list(failed["accession_number"]) == ["A-5.905"]
    assert list(recovered["status"]) == ["Excluded"]
    assert details(place) == ["sweeps: changes since the night before"]


def test_changes_name_no_patient_to_who_may_not_see_them(place: DatabaseFolder, researcher: None) -> None:
    at = run_as_start_page(show=CHANGES)
    shown = written(at) + "".join(one.value.to_string() for one in at.dataframe)

    assert_labelled(at)
    assert [metric.value for metric in at.metric[-5:]] == ["1", "1", "2", "1", "1"]
    assert at.dataframe[0].value["study_count"].sum() == 2
    assert not [word for word in ("FLAGGED", "RECENT-DXA", "DISMISSED", "A-5.9", "2.25.") if word in shown]
    assert details(place) == []


def test_changes_of_the_first_night_are_none(folder: Path) -> None:
    example.publish_example(folder)

    assert "first night" in run_page("sweeps", show=CHANGES).info[0].value


def test_changes_of_an_older_night_are_not_kept(place: DatabaseFolder) -> None:
    assert "Compared is the newest night only, sweep 7" in run_page("sweeps", show=CHANGES, night="6").info[0].value


def test_changes_without_the_earlier_publication_say_so(place: DatabaseFolder) -> None:
    (place.publications / "screening-000001.duckdb").unlink()
    at = run_page("sweeps", show=CHANGES)

    assert_labelled(at)
    assert "keep_publications" in at.info[0].value


def test_flow_stands_beside_its_table(place: DatabaseFolder) -> None:
    at = run_page("sweeps", show=FLOW)

    assert_labelled(at)
    assert len(at.get("plotly_chart")) == 1
    assert list(at.dataframe[0].value["reason"]) == [
        "Failed: MemoryError", "Failed: ValueError", "Contrast-enhanced", "Slices too far apart",
    ]  # fmt: skip


def test_books_and_files_stand_side_by_side(place: DatabaseFolder) -> None:
    at = run_page("sweeps", show=BOOKS)

    assert_labelled(at)
    assert [one.value for one in at.subheader] == [
        "Files: 1,000 found, 1,000 accounted for",
        "Series: 20 found, 20 accounted for",
        "Files that belong to no series: 3",
    ]
    assert list(at.dataframe[4].value["reason"]) == ["Broken header", "Not DICOM"]
    assert details(place) == []


def test_paths_are_listed_on_request_and_leave_a_trail(place: DatabaseFolder) -> None:
    at = run_page("sweeps", show=BOOKS)
    at.selectbox[1].set_value("broken_header").run()

    assert_labelled(at)
    assert list(at.dataframe[5].value["path"]) == ["/archive/broken1", "/archive/broken2"]
    assert details(place) == ["sweeps: files, broken_header"]


def test_paths_are_not_for_who_may_not_see_patients(place: DatabaseFolder, researcher: None) -> None:
    at = run_as_start_page(show=BOOKS)

    assert_labelled(at)
    assert len(at.selectbox) == 1
    assert len(at.dataframe) == 5


def test_night_without_books_says_so(place: DatabaseFolder) -> None:
    assert "No books were kept" in run_page("sweeps", show=BOOKS, night="2").info[0].value


def test_every_night_is_drawn_and_listed(place: DatabaseFolder) -> None:
    at = run_page("sweeps", show=EVERY_NIGHT)

    assert_labelled(at)
    assert len(at.get("plotly_chart")) == 1
    assert list(at.dataframe[0].value["sweep_id"]) == [7, 6, 5, 4, 3, 2, 1]


def test_running_sweep_is_shown(place: DatabaseFolder) -> None:
    with SweepTeller(place, unseen) as telling:
        telling.begin(8)
        telling.outcomes(["measured"] * 30 + ["failed"] * 2)
        telling("studies", 32, 100)
        at = run_page("sweeps")
    text = written(at)

    assert_labelled(at)
    assert ":blue-badge[running] **Sweep 8**, reading studies" in text
    assert "so far 30 measured, 0 excluded, 2 failed" in text


def test_running_first_sweep_is_shown_before_any_is_on_record(folder: Path) -> None:
    example.publish_rows(folder, 1, {})
    with SweepTeller(DatabaseFolder(folder), unseen) as telling:
        telling.begin(1)
        at = run_page("sweeps")

    assert "**Sweep 1**, starting" in written(at)


def test_sweep_that_broke_off_is_never_shown_as_running(place: DatabaseFolder) -> None:
    with pytest.raises(UserError), SweepTeller(place, unseen) as telling:
        telling.begin(8)
        raise UserError("The disk is full: make room, then sweep again.")
    at = run_page("sweeps")

    assert_labelled(at)
    assert "running]" not in written(at)
    assert "Sweep 8" in at.warning[0].value
    assert "broke off by UserError" in at.warning[0].value
    assert "The disk is full" in at.warning[1].value


def test_progress_of_another_version_is_one_sentence(place: DatabaseFolder) -> None:
    place.progress.write_text("{}")
    at = run_page("sweeps")

    assert_labelled(at)
    assert "another version" in at.warning[0].value
    assert len(at.metric) == 8


def test_new_publication_shows_its_night(place: DatabaseFolder) -> None:
    at = run_page("sweeps")
    later = nights.now_rows()
    later["sweep"] = [*later["sweep"], nights.sweep_row(8, "completed", 5, 0, 0)]
    example.publish_rows(place.folder, 3, later)
    at.run()

    assert "Studies read 5 of 708 found" in written(at)


def test_damaged_database_is_one_sentence(folder: Path) -> None:
    DatabaseFolder(folder).published.write_bytes(b"damaged" * 3000)
    at = run_page("sweeps")

    assert_labelled(at)
    assert "cannot be read" in at.error[0].value
