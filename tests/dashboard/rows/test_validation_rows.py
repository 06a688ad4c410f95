"""What is read of a comparison, and that its pictures are of the pairs it was computed from."""

import shutil
from pathlib import Path

import pytest
from published_validation import change, publish_hospital

from dashboard import queries
from dashboard.rows import validation as rows
from screening.errors import UserError
from screening.labels import NOTICE


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    publish_hospital(folder, compared=2, watched=False)
    return folder


@pytest.fixture
def compared(folder: Path, hospital: Path) -> Path:
    shutil.copytree(hospital, folder, symlinks=True, dirs_exist_ok=True)
    return folder


def comparison() -> rows.Comparison:
    return rows.comparison(queries.publication(), 2)


def test_runs_are_listed_newest_first_with_their_figures(compared: Path) -> None:
    runs = rows.runs(queries.publication())

    assert list(runs["run_id"]) == [2, 1]
    assert runs["auc"].iloc[0] == comparison().estimate("auc").value
    assert runs["bias_g_cm2_high"].iloc[0] == comparison().estimate("bias_g_cm2").high


def test_drawn_pairs_have_the_stored_figures(compared: Path) -> None:
    drawn, stored = rows.curves(queries.publication(), 2), comparison()

    assert drawn.pearson_r == stored.estimate("pearson_r")
    assert drawn.auc == stored.estimate("auc")
    assert rows.same_pairs(stored, drawn)


def test_a_window_that_the_comparison_set_is_kept_to(compared: Path) -> None:
    change(compared, "UPDATE validation_run SET settings = json_merge_patch(settings, '{\"window_days\": 30}')")
    drawn = rows.curves(queries.publication(), 2)

    assert 0 < drawn.counts.pair_count < comparison().report.pair_count
    assert not rows.same_pairs(comparison(), drawn)


def test_references_of_the_site_tell_osteoporosis(compared: Path) -> None:
    change(
        compared,
        "INSERT INTO reference_population VALUES ('site', 2.0, 0.1, 'Hologic', 'L1-L4', 'site', false); "
        "UPDATE dxa SET t_score = NULL; "
        'UPDATE validation_run SET settings = json_merge_patch(settings, \'{"references": {"Hologic": "site"}}\')',
    )
    drawn = rows.curves(queries.publication(), 2)

    assert drawn.counts.osteoporosis_count == drawn.counts.label_count > 0


def test_a_reference_that_is_gone_is_a_message_for_people(compared: Path) -> None:
    change(
        compared,
        'UPDATE validation_run SET settings = json_merge_patch(settings, \'{"references": {"Hologic": "gone"}}\')',
    )
    with pytest.raises(UserError, match="'gone'"):
        rows.curves(queries.publication(), 2)


def test_groups_stand_in_the_order_of_what_they_stand_for(compared: Path) -> None:
    assert list(rows.groups(comparison(), "age", "auc")["subgroup"]) == [
        "below 50 years", "50 to 60 years", "60 to 70 years", "70 to 80 years", "from 80 years",
    ]  # fmt: skip


def test_a_group_that_is_too_small_keeps_its_note(compared: Path) -> None:
    change(
        compared,
        "UPDATE validation_metric SET value = NULL, ci_low = NULL, ci_high = NULL, n = 7, "
        "note = 'fewer than 20 patients' WHERE subgroup = 'F' AND metric = 'auc'",
    )
    groups = rows.groups(comparison(), "sex", "auc")

    assert groups["value"].isna().tolist() == [True, False]
    assert groups["note"].tolist() == ["fewer than 20 patients", ""]


def test_a_figure_that_was_not_stored_says_so(compared: Path) -> None:
    change(compared, "DELETE FROM validation_metric WHERE metric = 'brier'")

    assert comparison().estimate("brier") is rows.NOT_STORED


def test_the_difference_to_attenuation_is_shown_where_it_is_stored(compared: Path) -> None:
    table = rows.beside_attenuation(comparison()).set_index("figure")

    assert table.loc["AUC for osteoporosis", "difference"] is not None
    assert table["difference"].notna().sum() == 2


def test_the_paper_has_its_own_patients(compared: Path) -> None:
    table = rows.beside_paper(comparison())

    assert table["internal"].tolist() == ["0.852 (n = 45)", "0.965 (n = 45)"]
    assert table["external"].tolist() == ["0.840 (n = 50)", "0.970 (n = 50)"]


def test_every_step_to_the_pairs_is_counted(compared: Path) -> None:
    report = comparison().report
    basis = dict(rows.basis(comparison()))

    assert basis["patients with a measured CT"] == f"{report.measured_count:,}"
    assert basis["with osteoporosis told, of them present"] == f"{report.label_count:,}, {report.osteoporosis_count:,}"
    assert len([what for what in basis if what.startswith("left out: ")]) == 4


def test_a_checkpoint_that_is_no_longer_known_keeps_its_kind(compared: Path) -> None:
    change(compared, "UPDATE validation_run SET checkpoint_sha256 = repeat('b', 64), data_kind = 'site'")
    found = comparison()

    assert found.report.checkpoint == "b" * 12
    assert found.report.trained_on == "CT and DXA of a site"
    assert not found.standing.active


def test_the_download_holds_every_figure_with_its_labels(compared: Path) -> None:
    found = comparison()
    table = rows.export(found)

    assert len(table) == len(found.report.figures)
    assert table["labels"].str.contains("trained on simulated CT").all()
    assert table["labels"].str.startswith(NOTICE).all()
    assert table["run_id"].unique().tolist() == [2]
