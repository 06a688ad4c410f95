"""Pictures of a comparison whose marks and lines are known."""

import pandas as pd
import plotly.graph_objects as go
import pytest

from dashboard.charts import validation as charts
from screening.statistics import Estimate

NOTHING = Estimate(None, None, None, 3, "too few")


@pytest.fixture
def points() -> pd.DataFrame:
    return pd.DataFrame({"bmd_cnn": [0.6, 1.0], "bmd_dxa": [0.7, 0.9], "mean": [0.65, 0.95], "difference": [-0.1, 0.1]})


@pytest.fixture
def shares() -> pd.DataFrame:
    return pd.DataFrame(
        {"place": [0.2, 0.9], "share": [0.1, 0.8], "low": [0.05, 0.7], "high": [0.2, 0.9], "n": [40, 50]}
    )


@pytest.fixture
def groups() -> pd.DataFrame:
    rows = [("F", 0.9, 0.8, 0.95, 60, ""), ("M", None, None, None, 7, "fewer than 20 patients")]
    return pd.DataFrame(rows, columns=["subgroup", "value", "low", "high", "n", "note"])


def estimate(value: float, n: int = 100) -> Estimate:
    return Estimate(value, value - 0.01, value + 0.02, n)


def named(figure: go.Figure, name: str) -> go.Scatter:
    return next(trace for trace in figure.data if trace.name == name)


def test_fitted_line_is_that_of_the_figures(points: pd.DataFrame) -> None:
    line = named(charts.agreement_chart(points, estimate(0.5), estimate(0.4)), "fitted line")

    assert list(line.x) == [0.6, 1.0]
    assert list(line.y) == pytest.approx([0.7, 0.9])


def test_identity_runs_from_corner_to_corner(points: pd.DataFrame) -> None:
    figure = charts.agreement_chart(points, NOTHING, NOTHING)
    line = named(figure, "identity")

    assert list(line.x) == list(line.y) == list(figure.layout.xaxis.range) == list(figure.layout.yaxis.range)
    assert [trace.name for trace in figure.data] == ["pairs", "identity"]


def test_points_carry_nothing_but_their_numbers(points: pd.DataFrame) -> None:
    cloud = named(charts.agreement_chart(points, estimate(1.0), estimate(0.0)), "pairs")

    assert list(cloud.x) == [0.6, 1.0]
    assert (cloud.text, cloud.hovertext, cloud.ids, cloud.customdata) == (None, None, None, None)


def test_bland_altman_draws_bias_and_limits_with_their_intervals(points: pd.DataFrame) -> None:
    figure = charts.bland_altman_chart(points, estimate(0.02), estimate(-0.1), estimate(0.15))

    assert [named(figure, name).y[0] for name in ("bias", "lower limit", "upper limit")] == [0.02, -0.1, 0.15]
    assert sorted((band.y0, band.y1) for band in figure.layout.shapes) == [
        pytest.approx((-0.11, -0.08)),
        pytest.approx((0.01, 0.04)),
        pytest.approx((0.14, 0.17)),
    ]
    assert "BMD_CNN − DXA (g/cm²)" in figure.layout.yaxis.title.text


def test_bland_altman_without_limits_shows_the_points(points: pd.DataFrame) -> None:
    figure = charts.bland_altman_chart(points, NOTHING, NOTHING, NOTHING)

    assert [trace.name for trace in figure.data] == ["pairs", "no difference"]


def test_the_flag_lies_at_its_sensitivity_and_specificity() -> None:
    curve = pd.DataFrame({"false_positive": [0.0, 0.1, 1.0], "sensitivity": [0.0, 0.8, 1.0]})
    figure = charts.roc_chart(curve, Estimate(0.8, 0.7, 0.85, 50), Estimate(0.9, 0.88, 0.95, 50))
    flag = named(figure, "the flag")

    assert (flag.x[0], flag.y[0]) == (pytest.approx(0.1), 0.8)
    assert (flag.error_x.array[0], flag.error_x.arrayminus[0]) == (pytest.approx(0.02), pytest.approx(0.05))
    assert list(named(figure, "BMD_CNN").y) == [0.0, 0.8, 1.0]


def test_roc_of_one_class_is_empty() -> None:
    figure = charts.roc_chart(pd.DataFrame({"false_positive": [], "sensitivity": []}), NOTHING, NOTHING)

    assert [trace.name for trace in figure.data] == ["chance", "BMD_CNN"]


@pytest.mark.parametrize("draw", [charts.reliability_chart, charts.coverage_chart])
def test_shares_have_interval_and_n(draw: object, shares: pd.DataFrame) -> None:
    observed = named(draw(shares), "observed")  # type: ignore[operator]

    assert list(observed.y) == [0.1, 0.8]
    assert list(observed.error_y.arrayminus) == pytest.approx([0.05, 0.1])
    assert list(observed.customdata) == [40, 50]


@pytest.mark.parametrize("draw", [charts.reliability_chart, charts.coverage_chart])
def test_no_group_large_enough_draws_nothing(draw: object, shares: pd.DataFrame) -> None:
    assert len(named(draw(shares.iloc[:0]), "observed").x) == 0  # type: ignore[operator]


def test_axis_of_coverage_reaches_the_lowest_group(shares: pd.DataFrame) -> None:
    assert charts.coverage_chart(shares).layout.yaxis.range[0] == pytest.approx(0.03)
    assert charts.coverage_chart(shares.iloc[1:]).layout.yaxis.range[0] == 0.5


def test_a_group_too_small_says_so_in_its_row(groups: pd.DataFrame) -> None:
    figure = charts.forest_chart(groups, estimate(0.9), "Pearson r", 1.0)

    assert list(figure.data[0].y) == ["F (n = 60)"]
    assert [(one.y, one.text) for one in figure.layout.annotations] == [("M (n = 7)", "fewer than 20 patients")]
    assert figure.layout.yaxis.categoryarray == ("M (n = 7)", "F (n = 60)")


def test_shares_are_drawn_in_per_cent(groups: pd.DataFrame) -> None:
    figure = charts.forest_chart(groups, estimate(0.9), "Sensitivity (%)", 100.0)

    assert list(figure.data[0].x) == [90.0]
    assert figure.layout.shapes[0].x0 == 90.0
    assert list(figure.data[0].error_x.array) == pytest.approx([5.0])


def test_months_are_drawn_in_their_order_without_the_small_ones() -> None:
    rows = [
        ("2025-01", 0.9, 0.8, 0.95, 60, ""),
        ("2025-02", None, None, None, 7, "few"),
        ("2025-03", 0.8, 0.7, 0.9, 60, ""),
    ]
    months = pd.DataFrame(rows, columns=["subgroup", "value", "low", "high", "n", "note"])
    figure = charts.months_chart(months, estimate(0.85), "Pearson r", 1.0)

    assert [str(month)[:7] for month in figure.data[0].x] == ["2025-01", "2025-03"]
    assert figure.layout.shapes[0].y0 == 0.85


def test_each_checkpoint_has_its_own_mark() -> None:
    runs = pd.DataFrame(
        {
            "checkpoint": ["b", "a", "a"], "validated_at": pd.to_datetime(["2026-03-01", "2026-02-01", "2026-01-01"]),
            "auc": [0.9, 0.8, None], "auc_low": [0.85, 0.7, None], "auc_high": [0.95, 0.9, None],
        }
    )  # fmt: skip
    figure = charts.runs_chart(runs, "auc", "AUC", 1.0)
    second, first = figure.data

    assert figure.layout.xaxis.range == (pd.Timestamp("2025-12-31"), pd.Timestamp("2026-03-02"))
    assert (list(second.y), list(first.y)) == ([0.9], [0.8])
    assert second.marker.symbol != first.marker.symbol
