"""Pictures of scanners over months whose states are known."""

import pandas as pd
import pytest

from dashboard.charts import drift as charts


@pytest.fixture
def months() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "scanner": ["A", "A", "B", "B"],
            "month": pd.to_datetime(["2025-01-01", "2025-02-01"] * 2),
            "state": ["stable", "alert", "baseline", "too_few"],
            "study_count": [40, 50, 30, 5],
        }
    )


@pytest.fixture
def history() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "month": pd.to_datetime(["2025-01-01", "2025-02-01", "2025-03-01"]),
            "value": [0.10, 0.12, 0.40], "n": [40, 50, 45], "state": ["baseline", "stable", "alert"],
            "baseline": [None, 0.10, 0.11], "baseline_n": [None, 40, 90], "shift": [None, 0.02, 0.29],
            "z": [None, 0.4, 8.0], "months": [None, 1, 1], "z_limit": [None, 4.8, 4.8],
            "material_shift": [None, 0.1, 0.1],
        }
    )  # fmt: skip


def test_each_state_has_its_own_shape(months: pd.DataFrame) -> None:
    traces = charts.states_chart(months, ["A", "B"]).data

    assert {trace.name: list(trace.y) for trace in traces} == {
        "Too few studies": ["B"], "Being learned": ["B"], "Stable": ["A"], "Alert": ["A"],
    }  # fmt: skip
    assert len({trace.marker.symbol for trace in traces}) == 4


def test_scanners_stand_in_the_order_of_the_table(months: pd.DataFrame) -> None:
    assert charts.states_chart(months, ["B", "A"]).layout.yaxis.categoryarray == ("A", "B")


def test_only_the_scanners_asked_for_are_drawn(months: pd.DataFrame) -> None:
    drawn = charts.states_chart(months, ["A"]).data

    assert sum(len(trace.x) for trace in drawn) == 2


def test_long_names_are_broken_into_lines_that_have_room(months: pd.DataFrame) -> None:
    name = "MANUFACTURER / Model 64 / STATION01 / General Hospital of the North"
    short, long = (charts.states_chart(months, [one]).layout.height for one in ("A", name))

    assert charts.wrapped(name) == "MANUFACTURER / Model 64 / STATION01 / General<br>Hospital of the North"
    assert long - short == charts.LINE_HEIGHT_PX
    assert charts.wrapped("") == ""


def test_shares_are_drawn_in_per_cent_with_the_band_that_does_not_matter(history: pd.DataFrame) -> None:
    figure = charts.history_chart(history, "failed")
    low, high = figure.data[:2]
    alert = next(trace for trace in figure.data if trace.name == "Alert" and trace.yaxis == "y")

    assert list(alert.y) == pytest.approx([40.0])
    assert (list(low.y)[1:], list(high.y)[1:]) == (pytest.approx([0.0, 1.0]), pytest.approx([20.0, 21.0]))
    assert figure.layout.yaxis.title.text == "%"


def test_z_is_drawn_with_its_limits(history: pd.DataFrame) -> None:
    figure = charts.history_chart(history, "fat_hu")
    limits = [list(trace.y)[1] for trace in figure.data if trace.name == "limits of chance"]
    alert = next(trace for trace in figure.data if trace.name == "Alert" and trace.yaxis == "y2")

    assert limits == [4.8, -4.8]
    assert list(alert.y) == [8.0]
    assert figure.layout.yaxis.title.text == "HU"


def test_studies_of_each_month_are_drawn(history: pd.DataFrame) -> None:
    studies = next(trace for trace in charts.history_chart(history, "fat_hu").data if trace.type == "bar")

    assert list(studies.y) == [40, 50, 45]
