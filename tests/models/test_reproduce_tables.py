import random

import pytest

from models.intervals import Estimate
from models.measurement import Agreement, GroupError, Measurement
from models.reproduce_tables import evaluation_picture, evaluation_table

FIGURE = Estimate(0.03, 0.02, 0.04)
KINDS_IN_ORDER = {
    "voltage": ["80 kVp", "100 kVp", "120 kVp"],
    "slice thickness": ["below 2.25 mm", "2.25 to 4 mm", "from 4 mm"],
    "scanner": ["Aquilion ONE CT201", "Sensation 64 CT204"],
    "effective diameter": ["below 260 mm", "260 to 300 mm", "from 300 mm"],
    "age": ["below 60 years", "60 to 70 years", "70 to 80 years", "from 80 years"],
}


@pytest.fixture
def measured():
    """A measurement whose groups come in any order within their kind."""
    groups = [
        GroupError(by, group, 20, FIGURE, FIGURE, FIGURE)
        for by, ordered in KINDS_IN_ORDER.items()
        for group in random.Random(1).sample(ordered, len(ordered))
    ]
    agreement = Agreement(FIGURE, FIGURE, FIGURE, FIGURE)
    return Measurement(100, 30, {"cnn": agreement}, None, FIGURE, tuple(groups), ((0.8, 0.8),))


def test_groups_of_a_table_rise_by_their_figures(measured):
    rows = [line.split(" | ") for line in evaluation_table(measured, "weights").splitlines()]
    shown = [(row[0].removeprefix("| "), row[1]) for row in rows if row[0].removeprefix("| ") in KINDS_IN_ORDER]
    assert shown == [(by, group) for by, ordered in KINDS_IN_ORDER.items() for group in ordered]


def test_groups_of_a_picture_rise_by_their_figures(measured):
    picture = evaluation_picture(measured)
    places = [picture.index(f"{by}: {group} (") for by, ordered in KINDS_IN_ORDER.items() for group in ordered]
    assert places == sorted(places)


def test_groups_beyond_the_limit_are_named_in_the_same_order(measured):
    last = evaluation_table(measured, "weights").splitlines()[-1]
    assert "below 260 mm, 260 to 300 mm, from 300 mm" in last
