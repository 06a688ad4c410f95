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
            "site": ["lumbar spine", "lumbar spine", "hip"],
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


def test_timeline_draws_ct_at_its_date_with_its_interval(measurements: pd.DataFrame) -> None:
    ct = charts.t_score_timeline(measurements).data[0]

    assert list(pd.to_datetime(ct.x)) == [pd.Timestamp("2025-09-01")]
    assert list(ct.y) == [-3.2]
    assert list(ct.error_y.array) == pytest.approx([1.4])
    assert list(ct.error_y.arrayminus) == pytest.approx([0.9])


def test_timeline_tells_spine_from_hip_by_shape(measurements: pd.DataFrame) -> None:
    measurements["measured_date"] = pd.to_datetime(["2025-09-01", "2021-05-03", "2020-01-01"])
    measurements.loc[1, "t_score"] = -1.5
    _, spine, hip = charts.t_score_timeline(measurements).data

    assert (list(spine.y), spine.marker.symbol) == ([-1.5], "diamond")
    assert (list(hip.y), hip.marker.symbol) == ([-2.0], "square")


def test_timeline_leaves_out_what_has_no_t_score_or_no_date(measurements: pd.DataFrame) -> None:
    assert [len(trace.x) for trace in charts.t_score_timeline(measurements).data] == [1, 0, 0]


def test_timeline_shades_the_categories_at_their_cuts(measurements: pd.DataFrame) -> None:
    figure = charts.t_score_timeline(measurements)

    assert [(band.y0, band.y1) for band in figure.layout.shapes] == [(-5.0, -2.5), (-2.5, -1.0), (-1.0, 2.0)]


def test_timeline_widens_for_a_measurement_outside_its_usual_range(measurements: pd.DataFrame) -> None:
    measurements.loc[0, "t_score_low"] = -6.0

    assert charts.t_score_timeline(measurements).layout.yaxis.range == (-6.5, 2.0)


def test_bmd_timeline_draws_no_category(measurements: pd.DataFrame) -> None:
    figure = charts.bmd_timeline(measurements)

    assert figure.layout.shapes == ()
    assert "g/cm²" in figure.layout.yaxis.title.text
    assert [list(trace.y) for trace in figure.data] == [[0.70], [0.80], []]


def test_timeline_names_its_unit(measurements: pd.DataFrame) -> None:
    assert "SD from" in charts.t_score_timeline(measurements).layout.yaxis.title.text


def test_charts_of_nothing_are_empty(measurements: pd.DataFrame, levels: pd.DataFrame) -> None:
    for figure in (
        charts.t_score_timeline(measurements.iloc[:0]),
        charts.bmd_timeline(measurements.iloc[:0]),
        charts.level_chart(levels.iloc[:0]),
    ):
        assert sum(len(trace.x) for trace in figure.data) == 0


def test_level_chart_tells_used_from_not_used_by_shape(levels: pd.DataFrame) -> None:
    used, not_used = charts.level_chart(levels).data

    assert (list(used.y), used.marker.symbol) == (["L1"], "circle")
    assert (list(not_used.y), not_used.marker.symbol) == (["L2"], "circle-open")


def test_level_chart_keeps_the_row_of_a_level_without_reading(levels: pd.DataFrame) -> None:
    assert charts.level_chart(levels).layout.yaxis.categoryarray == ("L3", "L2", "L1")
