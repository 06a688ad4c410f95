"""The page Validation in every state."""

import shutil
from pathlib import Path

import published_example as example
import pytest
from page_runs import assert_labelled, run_page, written
from published_validation import change, publish_hospital
from streamlit.testing.v1 import AppTest

from dashboard import access
from screening.dashboard_settings import Role
from screening.labels import SIMULATED_NOTICE


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    publish_hospital(folder, compared=2)
    return folder


@pytest.fixture
def compared(folder: Path, hospital: Path) -> Path:
    shutil.copytree(hospital, folder, symlinks=True, dirs_exist_ok=True)
    return folder


def table(at: AppTest, first: str) -> dict[str, str]:
    """Return the table whose first cell says so as first column to second."""
    frames = [one.value for one in at.dataframe if len(one.value) and str(one.value.iloc[0, 0]).startswith(first)]
    return dict(zip(frames[0].iloc[:, 0], frames[0].iloc[:, 1], strict=True))


def test_without_a_comparison_the_page_says_how_to_make_one(published: object) -> None:
    at = run_page("validation")

    assert_labelled(at)
    assert "screening validate" in at.info[0].value
    assert len(at.metric) == 0


def test_empty_database_says_how_to_make_a_comparison(folder: Path) -> None:
    example.publish_rows(folder, 1, {})
    at = run_page("validation")

    assert_labelled(at)
    assert "screening validate" in at.info[0].value


def test_the_main_figures_stand_on_top_with_interval_and_n(compared: Path) -> None:
    at = run_page("validation")

    assert_labelled(at)
    assert [metric.label for metric in at.metric] == [
        "Pearson r with DXA",
        "AUC for osteoporosis by DXA",
        "Bias, BMD_CNN − DXA (g/cm²)",
        "DXA within the 90 % interval",
    ]
    assert all("95 % CI" in metric.delta and "n = " in metric.delta for metric in at.metric)
    assert at.metric[3].value.endswith(" %")


def test_training_data_and_basis_are_said(compared: Path) -> None:
    at = run_page("validation")

    assert SIMULATED_NOTICE in written(at)
    assert "trained on simulated CT" in written(at)
    assert "within 180 days" in written(at)
    assert "patients with a measured CT: **1," in written(at)


def test_pictures_of_the_same_pairs_raise_no_warning(compared: Path) -> None:
    at = run_page("validation")

    assert [one.value for one in at.warning] == []
    assert [one.value for one in at.info] == []
    assert "pairs drawn" in written(at)


def test_the_paper_stands_beside_without_a_claim(compared: Path) -> None:
    at = run_page("validation")

    assert table(at, "Pearson r")["Pearson r"].startswith("0.")
    assert "Other patients, other scanners, another network" in written(at)


def test_pairs_that_have_changed_are_told(compared: Path) -> None:
    change(compared, "DELETE FROM dxa WHERE patient_id LIKE '%7'")
    at = run_page("validation")

    assert_labelled(at)
    assert "pairs have changed" in at.warning[0].value


def test_values_that_have_changed_are_told_though_the_counts_have_not(compared: Path) -> None:
    change(compared, "UPDATE dxa SET bmd_dxa = bmd_dxa + 0.05 WHERE patient_id LIKE '%7'")

    assert "pairs have changed" in run_page("validation").warning[0].value


@pytest.mark.parametrize(
    ("statement", "news"),
    [
        ("UPDATE outcome SET read_at = TIMESTAMP '2026-05-01'", "CT results came in"),
        ("UPDATE dxa SET imported_at = TIMESTAMP '2026-05-01'", "DXA came in"),
    ],
)
def test_what_came_in_since_is_told(compared: Path, statement: str, news: str) -> None:
    change(compared, statement)

    assert news in run_page("validation").info[0].value


def test_pairs_that_the_checkpoint_was_fitted_to_are_told(compared: Path) -> None:
    change(compared, "UPDATE validation_run SET seen_count = 12")

    assert "12 of" in run_page("validation").warning[0].value


def test_a_comparison_of_another_checkpoint_has_figures_without_pictures(compared: Path) -> None:
    change(compared, "UPDATE validation_run SET checkpoint_sha256 = repeat('b', 64)")
    at = run_page("validation")

    assert_labelled(at)
    assert "Another checkpoint is in use (synthetic)" in at.warning[0].value
    assert "checkpoint in use alone" in at.info[0].value
    assert len(at.metric) == 4


def test_settings_of_another_version_leave_the_figures(compared: Path) -> None:
    change(compared, """UPDATE validation_run SET settings = '{"smallest_group": 20, "unheard_of": 1}'""")
    at = run_page("validation")

    assert_labelled(at)
    assert "another version" in at.warning[0].value
    assert len(at.metric) == 4


def test_without_any_pair_left_the_figures_stay(compared: Path) -> None:
    change(compared, "DELETE FROM dxa")
    at = run_page("validation")

    assert_labelled(at)
    assert "now 0" in at.warning[0].value


def test_the_comparison_of_the_address_is_shown(compared: Path) -> None:
    newest, earlier = run_page("validation"), run_page("validation", run="Run 1, 2026-02-04 04:05 UTC, synthetic")

    assert newest.selectbox(key="run").value == 2
    assert earlier.selectbox(key="run").value == 1
    assert_labelled(earlier)


def test_a_comparison_that_is_not_there_shows_the_newest(compared: Path) -> None:
    at = run_page("validation", run="Run 99")

    assert_labelled(at)
    assert at.selectbox(key="run").value == 2


def test_figure_and_groups_are_chosen_by_the_address(compared: Path) -> None:
    at = run_page("validation", figure="AUC for osteoporosis", by="CT scanner")

    assert_labelled(at)
    assert (at.selectbox(key="figure").value, at.selectbox(key="by").value) == ("auc", "scanner")


def test_who_may_not_see_patients_may_see_how_well_it_reads(compared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "visitor", lambda: access.Visitor("R", frozenset({Role.RESEARCH})))
    at = run_page("validation")

    assert_labelled(at)
    assert len(at.metric) == 4


def test_no_patient_is_named(compared: Path) -> None:
    at = run_page("validation")
    shown = written(at) + "".join(one.value.to_string() for one in at.dataframe)

    assert len(at.get("plotly_chart")) >= 5
    assert "2.25." not in shown
    assert "P1" not in shown
