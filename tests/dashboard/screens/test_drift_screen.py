"""The page Drift in every state."""

import shutil
from pathlib import Path

import published_example as example
import pytest
from page_runs import assert_labelled, run_page, written
from published_validation import change, publish_hospital

from dashboard import access
from screening.dashboard_settings import Role

DRIFTING = "ACME / Sim 64 / CT2 / North"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    publish_hospital(folder, compared=0)
    return folder


@pytest.fixture
def watched(folder: Path, hospital: Path) -> Path:
    shutil.copytree(hospital, folder, symlinks=True, dirs_exist_ok=True)
    return folder


def test_before_drift_was_run_the_page_says_how(published: object) -> None:
    at = run_page("drift")

    assert_labelled(at)
    assert "screening drift" in at.info[0].value


def test_empty_database_says_how_to_run_drift(folder: Path) -> None:
    example.publish_rows(folder, 1, {})
    at = run_page("drift")

    assert_labelled(at)
    assert "screening drift" in at.info[0].value


def test_the_scanner_that_drifts_is_told_in_words(watched: Path) -> None:
    at = run_page("drift")

    assert_labelled(at)
    told = [one.value.replace("\\", "") for one in at.error]
    assert [one.splitlines()[0] for one in told] == [f"**{DRIFTING}**"]
    assert "fat and muscle together" in told[0]
    assert "HU higher than in its first months" in told[0]
    assert "n = " in told[0]
    assert "since 2025-09" in told[0]


def test_every_scanner_has_its_state_and_the_drifting_one_is_first(watched: Path) -> None:
    scanners = run_page("drift").dataframe[0].value

    assert scanners["scanner"].iloc[0] == DRIFTING
    assert list(scanners["state"]) == ["Alert", "Stable", "Stable"]
    assert "HU" in scanners["worst"].iloc[0]


def test_without_alerts_the_page_says_up_to_when(watched: Path) -> None:
    change(watched, "UPDATE drift_metric SET state = 'stable' WHERE state = 'alert'")
    at = run_page("drift")

    assert_labelled(at)
    assert "3 of 3 scanners could be judged in the newest months, up to 2025-12" in at.success[0].value
    assert len(at.error) == 0


def test_where_nothing_could_be_judged_nothing_is_said_of_the_scanners(watched: Path) -> None:
    change(watched, "UPDATE drift_metric SET state = 'too_few' WHERE month >= DATE '2025-10-01'")
    at = run_page("drift")

    assert_labelled(at)
    assert "None of 3 scanners could be judged" in at.info[0].value
    assert len(at.success) == 0


def test_months_that_were_not_judged_are_told(watched: Path) -> None:
    change(watched, "DELETE FROM drift_metric WHERE month = DATE '2025-12-01'")

    assert "not been judged yet" in run_page("drift").info[0].value


def test_scanner_and_metric_are_chosen_by_the_address(watched: Path) -> None:
    at = run_page("drift", scanner="ACME / Sim 64 / CT1 / North", metric="Air (HU)", states="BMD_CNN (g/cm²)")

    assert_labelled(at)
    assert at.selectbox(key="scanner").value == "ACME / Sim 64 / CT1 / North"
    assert at.selectbox(key="metric").value == "air_hu"
    assert at.selectbox(key="states").value == "bmd_cnn"


def test_scanners_beyond_the_first_are_not_all_said(watched: Path) -> None:
    change(
        watched,
        "INSERT INTO drift_metric BY NAME SELECT drift_metric.* EXCLUDE (scanner), scanner || number AS scanner "
        "FROM drift_metric CROSS JOIN range(9) AS copy (number) WHERE scanner LIKE '%CT2%'",
    )
    at = run_page("drift")

    assert_labelled(at)
    assert len(at.error) == 8
    assert "2 more scanners with alerts" in written(at)


def test_who_may_not_see_patients_may_see_scanners(watched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "visitor", lambda: access.Visitor("R", frozenset({Role.RESEARCH})))
    at = run_page("drift")

    assert_labelled(at)
    assert len(at.get("plotly_chart")) == 2
