"""The evaluation's own arithmetic, and the bundled CT through it."""

import csv
from pathlib import Path

import pytest
from localise import Line, Reason, Truth, lines_of, missed_targets, report
from real_ct import BUNDLED_COPIES, read_series

TRUTH = Path(__file__).parents[1] / "data" / "totalsegmentator_example_truth.csv"
DRAWN_HU = {"L1": 105.0, "L2": 117.0, "L3": 115.0, "L4": 117.0, "L5": 112.0}  # regions drawn by hand
GOOD = [Line("A", "L1", "right", 1.0, -3.0), Line("A", "L2", "right", -2.0, 5.0)]
EXCLUDED = Reason("head", "no_lumbar", "")


@pytest.fixture(scope="module")
def bundled_lines() -> list[Line]:
    with TRUTH.open() as file:
        truth = [
            Truth("bundled", "", row["level"], float(row["z_mm"]), DRAWN_HU[row["level"]])
            for row in csv.DictReader(file)
        ]
    return lines_of(read_series(BUNDLED_COPIES["TS_example"]), truth)


def test_the_bundled_ct_reaches_the_targets(bundled_lines):
    assert missed_targets(bundled_lines, []) == []
    assert {line.level for line in bundled_lines if line.verdict == "right"} >= {"L1", "L2", "L3", "L4", "L5"}


def test_the_report_holds_every_vertebra_and_every_reason():
    text = report(GOOD, [EXCLUDED, Reason("slice 1", "too_few_slices", "")])

    assert "| A | L2 | right | -2.0 | +5.0 |" in text
    assert "| head | no_lumbar |  |" in text
    assert "| 1 single slices | too_few_slices | |" in text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (Line("B", "L3", "wrong", 1.0, 1.0), "wrong names: B L3"),
        (Line("B", "L3", "right", 10.1, 1.0), "largest error of the centre 10.1 mm"),
    ],
)
def test_a_missed_target_is_named(line, words):
    (missed,) = missed_targets([*GOOD, line], [EXCLUDED])

    assert words in missed


def test_one_uncertain_series_is_tolerated_and_two_are_not():
    one = [*GOOD, Line("B", "L1", "uncertain")]

    assert missed_targets(one, []) == []
    assert len(missed_targets([*one, Line("C", "L1", "no_lumbar")], [])) == 1


def test_lumbar_levels_claimed_where_there_are_none_are_named():
    (missed,) = missed_targets(GOOD, [Reason("head", "", "L1 L2")])

    assert "head" in missed
