"""Curves of pairs whose agreement is known, held against a second implementation."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from random_hospital import Law, fill
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as another_roc_curve

from screening.agreement_curves import AgreementCurves, agreement_curves, cloud, roc_curve, sample, shares
from screening.pairing import Pairs
from screening.prediction.tscore import REFERENCES
from screening.store.validation import read_pairs
from screening.validation import reader_figures
from screening.validation_settings import ValidationSettings

EVERY_STEP = 10**6


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    with duckdb.connect() as connection:
        fill(connection, Law(patients=1200, bias_g_cm2=0.02), seed=31)
        return read_pairs(connection, ValidationSettings(), REFERENCES)


@pytest.fixture(scope="module")
def curves(pairs: Pairs) -> AgreementCurves:
    return agreement_curves(pairs, smallest_group=20)


@pytest.fixture
def scores() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    holds = random.random(400) < 0.3
    return np.round(random.normal(holds, 1.0), 1), holds  # rounded, so that there are ties


def test_the_pairs_that_are_drawn_have_the_figures_that_are_stored(pairs: Pairs, curves: AgreementCurves) -> None:
    figures = reader_figures(pairs, np.ones(len(pairs), dtype=bool))

    assert curves.pearson_r == figures["pearson_r"]
    assert curves.auc == figures["auc"]
    assert np.corrcoef(curves.points["bmd_cnn"], curves.points["bmd_dxa"])[0, 1] == pytest.approx(
        figures["pearson_r"].value
    )
    assert curves.points["difference"].mean() == pytest.approx(figures["bias_g_cm2"].value)
    assert np.average(curves.coverage["share"], weights=curves.coverage["n"]) == pytest.approx(
        figures["coverage_90"].value
    )


def test_the_area_below_the_curve_is_the_auc(curves: AgreementCurves) -> None:
    assert np.trapezoid(curves.roc["sensitivity"], curves.roc["false_positive"]) == pytest.approx(
        curves.auc.value, abs=1e-3
    )


def test_roc_curve_is_that_of_another_computation(scores: tuple[np.ndarray, np.ndarray]) -> None:
    false_positive, sensitivity, _ = another_roc_curve(scores[1], scores[0], drop_intermediate=False)
    found = roc_curve(*scores, most_steps=EVERY_STEP)

    assert found["false_positive"].to_numpy() == pytest.approx(false_positive)
    assert found["sensitivity"].to_numpy() == pytest.approx(sensitivity)


def test_a_curve_with_fewer_steps_keeps_its_ends_and_its_area(scores: tuple[np.ndarray, np.ndarray]) -> None:
    found = roc_curve(*scores, most_steps=30)

    assert len(found) <= 30
    assert found.iloc[0].tolist() == [0, 0]
    assert found.iloc[-1].tolist() == [1, 1]
    assert np.trapezoid(found["sensitivity"], found["false_positive"]) == pytest.approx(
        roc_auc_score(scores[1], scores[0]), abs=0.02
    )


@pytest.mark.parametrize("holds", [True, False])
def test_one_class_alone_has_no_curve(holds: bool) -> None:
    assert roc_curve(np.arange(5.0), np.full(5, holds)).empty


def test_reliability_is_that_of_another_computation(pairs: Pairs) -> None:
    observed, stated = calibration_curve(pairs.osteoporosis, pairs.probability, n_bins=10)
    found = agreement_curves(pairs, smallest_group=1).reliability

    assert found["share"].to_numpy() == pytest.approx(observed)
    assert found["place"].to_numpy() == pytest.approx(stated)
    assert found["n"].sum() == len(pairs)


def test_a_probability_of_one_is_in_the_last_tenth() -> None:
    found = shares(np.array([0.95, 1.0]), np.array([True, True]), np.array([9, 9]), 2)

    assert found["place"].tolist() == pytest.approx([0.975])


@pytest.mark.parametrize(("n", "drawn"), [(19, 0), (20, 1)])
def test_a_share_of_too_few_is_not_drawn(n: int, drawn: int) -> None:
    assert len(shares(np.zeros(n), np.ones(n, bool), np.zeros(n, np.int64), 20)) == drawn


def test_coverage_is_of_groups_of_one_size_by_rising_bmd(pairs: Pairs, curves: AgreementCurves) -> None:
    assert len(curves.coverage) == 10
    assert curves.coverage["place"].is_monotonic_increasing
    assert np.ptp(curves.coverage["n"]) <= 1


def test_fewer_pairs_make_fewer_groups_of_coverage(pairs: Pairs) -> None:
    assert len(agreement_curves(pairs, smallest_group=len(pairs) // 3).coverage) == 3


def test_of_many_pairs_the_same_sample_is_drawn_each_time() -> None:
    first, again = sample(100_000, 3000), sample(100_000, 3000)

    assert len(np.unique(first)) == 3000
    assert np.array_equal(first, again)
    assert sample(4, 3000).tolist() == [0, 1, 2, 3]


def test_points_stand_for_pairs() -> None:
    expected = pd.DataFrame({"bmd_cnn": [0.9], "bmd_dxa": [0.8], "mean": [0.85], "difference": [0.1]})

    pd.testing.assert_frame_equal(cloud(np.array([0.9]), np.array([0.8])), expected)
