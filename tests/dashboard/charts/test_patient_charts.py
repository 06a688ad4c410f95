"""Figures drawn from frames whose marks are known."""

import pandas as pd
import pytest

from dashboard.charts import patient as charts


@pytest.fixture
def measurements() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": ["CT", "DXA", "DXA"],
            "measured_date": pd.to_datetime(["2025-09-01", "2021-05-03", None]),
            "what": ["BMD_CNN L1 L2", "DXA L1-L4 Hologic", "DXA total hip"],
            "bmd_g_cm2": [0.70, 0.80, None],
            "bmd_low_g_cm2": [0.60, None, None],
            "bmd_high_g_cm2": [0.85, None, None],
            "t_score": [-3.2, None, -2.0],
            "t_score_low": [-4.1, None, None],
            "t_score_high": [-1.8, None, None],
        }
    )


@pytest.fixture
def levels() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "level": ["L1", "L2", "L3"],
            "bmd_cnn": [0.70, 0.95, None],
            "bmd_sd": [0.05, 0.06, None],
            "used": [True, False, False],
        }
    )


def test_t_score_chart_draws_ct_with_its_interval(measurements: pd.DataFrame) -> None:
    ct = charts.t_score_chart(measurements).data[0]

    assert list(ct.x) == [-3.2]
    assert list(ct.error_x.array) == pytest.approx([1.4])
    assert list(ct.error_x.arrayminus) == pytest.approx([0.9])


def test_t_score_chart_leaves_out_a_dxa_without_t_score(measurements: pd.DataFrame) -> None:
    dxa = charts.t_score_chart(measurements).data[1]

    assert list(dxa.x) == [-2.0]
    assert list(dxa.y) == ["no date  DXA total hip"]


def test_t_score_chart_shades_the_categories_at_their_cuts(measurements: pd.DataFrame) -> None:
    figure = charts.t_score_chart(measurements)

    assert [(band.x0, band.x1) for band in figure.layout.shapes] == [(-5.0, -2.5), (-2.5, -1.0), (-1.0, 2.0)]


def test_t_score_chart_widens_for_a_measurement_outside_its_usual_range(measurements: pd.DataFrame) -> None:
    measurements.loc[0, "t_score_low"] = -6.0

    assert charts.t_score_chart(measurements).layout.xaxis.range == (-6.5, 2.0)


def test_newest_measurement_stands_on_top(measurements: pd.DataFrame) -> None:
    rows = charts.t_score_chart(measurements).layout.yaxis.categoryarray

    assert rows == ("no date  DXA total hip", "2025-09-01  BMD_CNN L1 L2")


def test_bmd_chart_draws_no_category(measurements: pd.DataFrame) -> None:
    figure = charts.bmd_chart(measurements)

    assert figure.layout.shapes == ()
    assert "g/cm²" in figure.layout.xaxis.title.text
    assert [list(trace.x) for trace in figure.data] == [[0.70], [0.80]]


def test_t_score_chart_names_its_unit(measurements: pd.DataFrame) -> None:
    assert "standard deviations" in charts.t_score_chart(measurements).layout.xaxis.title.text


def test_charts_of_nothing_are_empty(measurements: pd.DataFrame, levels: pd.DataFrame) -> None:
    for figure in (
        charts.t_score_chart(measurements.iloc[:0]),
        charts.bmd_chart(measurements.iloc[:0]),
        charts.level_chart(levels.iloc[:0]),
    ):
        assert [len(trace.x) for trace in figure.data] == [0, 0]


def test_level_chart_tells_used_from_not_used_by_shape(levels: pd.DataFrame) -> None:
    used, not_used = charts.level_chart(levels).data

    assert (list(used.y), used.marker.symbol) == (["L1"], "circle")
    assert (list(not_used.y), not_used.marker.symbol) == (["L2"], "circle-open")


def test_level_chart_keeps_the_row_of_a_level_without_reading(levels: pd.DataFrame) -> None:
    assert charts.level_chart(levels).layout.yaxis.categoryarray == ("L3", "L2", "L1")
