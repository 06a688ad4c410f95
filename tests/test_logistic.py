"""Logistic fits against scikit-learn and against known laws."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from screening.logistic import logistic, probability_line


def drawn(n=2000, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(0, 1, (n, 2))
    chance = 1 / (1 + np.exp(-(-0.5 + x @ [1.0, -0.7])))
    return np.column_stack([np.ones(n), x]), (random.random(n) < chance).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_a_fit_meets_scikit_learn(seed):
    design, outcome = drawn(seed=seed)
    other = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=1000).fit(design, outcome)

    assert logistic(design, outcome).coefficients == pytest.approx(other.coef_[0], abs=1e-4)


def test_weights_stand_for_rows_repeated():
    design, outcome = drawn(n=300)
    times = np.random.default_rng(1).integers(1, 4, 300)

    repeated = logistic(np.repeat(design, times, axis=0), np.repeat(outcome, times))

    found = logistic(design, outcome, weights=times.astype(float))
    assert found.coefficients == pytest.approx(repeated.coefficients)
    assert found.covariance == pytest.approx(repeated.covariance)


def test_standard_errors_are_the_spread_of_fits():
    fits = np.array([logistic(*drawn(n=500, seed=seed)).coefficients for seed in range(300)])

    stated = np.sqrt(np.diag(logistic(*drawn(n=500, seed=7)).covariance))
    assert stated == pytest.approx(fits.std(axis=0), rel=0.15)


def test_perfect_separation_has_no_finite_fit():
    x = np.linspace(-1, 1, 40)

    assert logistic(np.column_stack([np.ones(40), x]), (x > 0).astype(float)) is None


def test_a_column_that_says_nothing_new_has_no_fit():
    design, outcome = drawn(n=100)

    assert logistic(np.column_stack([design, design[:, 1]]), outcome) is None


def test_a_probability_that_comes_true_is_calibrated():
    random = np.random.default_rng(2)
    chance = random.beta(1, 3, 20_000)

    found = probability_line(chance, random.random(20_000) < chance)

    assert found.slope.low < 1 < found.slope.high
    assert found.intercept.low < 0 < found.intercept.high


def test_a_probability_too_extreme_has_a_slope_below_one():
    random = np.random.default_rng(3)
    logit = random.normal(-1, 1, 20_000)

    found = probability_line(1 / (1 + np.exp(-2 * logit)), random.random(20_000) < 1 / (1 + np.exp(-logit)))

    assert found.slope.value == pytest.approx(0.5, abs=0.02)


def test_probabilities_of_nought_and_one_can_be_judged():
    chance = np.tile([0.0, 1.0, 0.5, 0.5, 0.2], 20)
    holds = np.tile([False, True, True, False, False], 20)

    assert probability_line(chance, holds).intercept.known


@pytest.mark.parametrize("holds", [np.ones(50, bool), np.zeros(50, bool)])
def test_one_class_alone_cannot_be_judged(holds):
    assert "some with and some without" in probability_line(np.full(50, 0.3), holds).slope.note


def test_standard_errors_meet_an_independent_library():
    # statsmodels 0.15.0, GLM Binomial: -1.888802 (0.656533), 2.111205 (0.734504).
    holds = np.arange(40) % 3 == 0
    score = np.round(np.sin(np.arange(40) * 1.7) + 1.2 * holds, 2)

    found = logistic(np.column_stack([np.ones(40), score]), holds.astype(float))

    assert found.coefficients == pytest.approx([-1.888802, 2.111205], abs=1e-6)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx([0.656533, 0.734504], abs=1e-5)
