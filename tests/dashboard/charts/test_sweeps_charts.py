"""Figures of nights and of the flow of studies, drawn from frames whose marks are known."""

from datetime import datetime

import pandas as pd
import pytest

from dashboard import wording
from dashboard.charts import sweeps as charts
from screening.archive.header import FileProblem


@pytest.fixture
def nights() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sweep_id": [3, 2, 1],
            "started_at": pd.to_datetime([datetime(2026, 3, day, 1, 30) for day in (3, 2, 1)]),
            "study_read_count": [20, None, 10],
            "measured_count": [12, None, 7],
            "excluded_count": [6, None, 3],
            "failed_count": [2, None, 0],
            "failed_share_percent": [10.0, None, 0.0],
            "failed_share_limit_percent": [5.0, 5.0, 8.0],
            "studies_per_hour": [8.0, None, 4.0],
        }
    )


@pytest.fixture
def flow() -> pd.DataFrame:
    columns = ("step", "stage", "reason", "study_count")
    lines = [
        (1, "found", None, 1200), (2, "read", "not_read_yet", 150), (2, "read", "failed: OSError", 50),
        (2, "read", None, 1000), (3, "ct", None, 1000), (4, "eligible_series", "contrast", 400),
        (4, "eligible_series", None, 600), (5, "localised", None, 600), (6, "measured", None, 600),
    ]  # fmt: skip
    return pd.DataFrame(lines, columns=columns)


def many_reasons(count: int) -> pd.DataFrame:
    return pd.DataFrame({"reason": [f"reason_{n}" for n in range(count)], "study_count": range(count, 0, -1)})


def test_bars_stand_in_the_order_of_the_nights(nights: pd.DataFrame) -> None:
    measured, excluded, failed = charts.nights_chart(nights).data[:3]

    assert (measured.name, list(measured.y)[0], list(measured.y)[2]) == ("Measured", 7, 12)
    assert (excluded.name, list(excluded.y)[2]) == ("Excluded", 6)
    assert (failed.name, list(failed.y)[2]) == ("Failed", 2)


def test_bars_differ_in_pattern_as_well_as_in_colour(nights: pd.DataFrame) -> None:
    bars = charts.nights_chart(nights).data[:3]

    assert len({bar.marker.pattern.shape for bar in bars}) == 3
    assert len({bar.marker.color for bar in bars}) == 3


def test_night_without_end_is_marked(nights: pd.DataFrame) -> None:
    (mark,) = [trace for trace in charts.nights_chart(nights).data if trace.name == "Did not come to its end"]

    assert list(mark.x) == [1]
    assert mark.customdata[0] == "sweep 2, 2026-03-02 01:30 UTC"


def test_nights_that_all_ended_have_no_such_mark(nights: pd.DataFrame) -> None:
    names = [trace.name for trace in charts.nights_chart(nights.dropna()).data]

    assert "Did not come to its end" not in names


def test_limit_of_the_failed_share_is_that_of_each_night(nights: pd.DataFrame) -> None:
    (limit,) = [trace for trace in charts.nights_chart(nights).data if trace.name == "Limit of the failed share"]

    assert list(limit.y) == [8.0, 5.0, 5.0]


def test_axes_of_the_nights_name_their_units(nights: pd.DataFrame) -> None:
    layout = charts.nights_chart(nights).layout
    titles = [axis.title.text for axis in (layout.yaxis, layout.yaxis2, layout.yaxis3)]

    assert titles == ["Studies read (count)", "Failed (%)", "Speed (1/h)"]
    assert list(layout.xaxis3.ticktext) == ["1<br>2026-03-01", "2<br>2026-03-02", "3<br>2026-03-03"]


def test_many_nights_are_named_now_and_then_the_newest_always(nights: pd.DataFrame) -> None:
    many = pd.concat([nights] * 100, ignore_index=True)
    ticks = charts.nights_chart(many).layout.xaxis3.tickvals

    assert len(ticks) <= charts.MOST_TICKS
    assert ticks[-1] == 299


def test_no_night_is_drawn_of_none(nights: pd.DataFrame) -> None:
    assert [len(trace.x) for trace in charts.nights_chart(nights.iloc[:0]).data[:3]] == [0, 0, 0]


def test_flow_has_a_box_for_each_stage_and_for_those_that_stopped(flow: pd.DataFrame) -> None:
    figure = charts.flow_chart(flow, "black")
    texts = [note.text for note in figure.layout.annotations if note.text]

    assert len(figure.layout.shapes) == 6 + 2
    assert texts[0] == "<b>In the archive</b><br>1,200 studies"
    assert texts[1] == "<b>200 studies not</b><br>150  Not read yet<br>50  Failed: OSError"
    assert texts[2] == "<b>Read</b><br>1,000 studies (83.3 %)"
    assert texts[-1] == "<b>Measured</b><br>600 studies (50.0 %)"


def test_boxes_of_the_flow_do_not_overlap(flow: pd.DataFrame) -> None:
    boxes = charts.flow_chart(flow, "black").layout.shapes
    stages = [(box.y0, box.y1) for box in boxes if box.x0 == charts.STAGE_LEFT]
    reasons = [(box.y0, box.y1) for box in boxes if box.x0 == charts.REASON_LEFT]

    assert all(upper[1] < lower[0] for upper, lower in zip(stages, stages[1:], strict=False))
    assert all(upper[1] < lower[0] for upper, lower in zip(reasons, reasons[1:], strict=False))


def test_text_of_the_flow_takes_the_ink_of_the_theme(flow: pd.DataFrame) -> None:
    assert {note.font.color for note in charts.flow_chart(flow, "white").layout.annotations} == {"white"}


def test_rare_reasons_are_counted_together() -> None:
    assert charts.reason_lines(many_reasons(6))[1:] == [f"{6 - n}  reason {n}" for n in range(6)]
    assert charts.reason_lines(many_reasons(8)) == [
        "<b>36 studies not</b>", "8  reason 0", "7  reason 1", "6  reason 2", "5  reason 3", "4  reason 4",
        "6  for 3 other reasons",
    ]  # fmt: skip


def test_flow_of_an_empty_archive_has_no_share() -> None:
    assert charts.stage_lines("measured", 0, 0) == ["<b>Measured</b>", "0 studies"]


@pytest.mark.parametrize("problem", list(FileProblem))
def test_every_file_problem_has_words(problem: FileProblem) -> None:
    assert wording.file_problem(problem.value) == wording.FILE_PROBLEMS[problem.value]


def test_reasons_of_the_flow_have_words() -> None:
    assert charts.flow_reason("not_read_yet") == "Not read yet"
    assert charts.flow_reason("failed: OSError") == "Failed: OSError"
    assert charts.flow_reason("contrast") == "Contrast-enhanced"
