"""Statistics against published examples and against second implementations."""

import numpy as np
import pytest
from scipy import stats

from screening.statistics import (
    bland_altman,
    calibration_line,
    concordance,
    mean,
    paired_bootstrap,
    pearson,
    root_mean_square,
    share,
)

# Peak expiratory flow rate, l/min, by two meters (Bland & Altman, Lancet 1986;i:307, table 1, first readings).
WRIGHT = np.array([494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427], float)
MINI = np.array([512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451], float)


def correlated(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(0.9, 0.15, n)
    return x, 0.1 + 0.8 * x + random.normal(0, 0.06, n)


def bounds(estimate):
    return [estimate.value, estimate.low, estimate.high]


def test_the_published_correlation_of_the_flow_meters():
    assert pearson(WRIGHT, MINI).value == pytest.approx(0.943, abs=0.0005)


def test_the_published_limits_of_agreement_of_the_flow_meters():
    found = bland_altman(WRIGHT - MINI)

    assert bounds(found.bias) == pytest.approx([-2.1, -22.0, 17.8], abs=0.1)
    # The paper takes 2 SD and the variance 3 s2 / n where 1.96 SD and 2.92 s2 / n are more exact.
    assert bounds(found.lower_limit) == pytest.approx([-79.7, -114.3, -45.1], abs=2.2)
    assert bounds(found.upper_limit) == pytest.approx([75.5, 40.9, 110.1], abs=2.2)


def test_limits_of_agreement_follow_from_bias_and_standard_deviation():
    found = bland_altman(WRIGHT - MINI)

    assert found.upper_limit.value - found.bias.value == pytest.approx(1.959964 * 38.7651, abs=1e-3)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pearson_meets_scipy(seed):
    x, y = correlated(seed=seed)
    other = stats.pearsonr(x, y)

    found = pearson(x, y)

    assert bounds(found) == pytest.approx([other.statistic, *other.confidence_interval(0.95)])
    assert found.n == 60


def test_concordance_is_what_its_definition_says():
    x, y = correlated()
    by_hand = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)

    assert concordance(x, y).value == pytest.approx(by_hand)


def test_the_interval_of_concordance_is_that_of_the_jackknife():
    x, y = correlated(n=400, seed=3)
    left_out = np.array([concordance(np.delete(x, i), np.delete(y, i)).value for i in range(400)])
    pseudo = np.arctanh(left_out)
    standard_error = np.sqrt(399 / 400 * ((pseudo - pseudo.mean()) ** 2).sum())

    found = concordance(x, y)

    half_width = (np.arctanh(found.high) - np.arctanh(found.low)) / 2
    assert half_width == pytest.approx(1.96 * standard_error, rel=0.1)


def test_the_interval_of_concordance_covers_the_truth():
    # Bivariate normal, r = 0.85, equal spread, shifted by half an SD: 2 * 0.85 / (2 + 0.25).
    random = np.random.default_rng(11)
    inside = 0
    for _ in range(1000):
        x, y = random.multivariate_normal([0, 0.5], [[1, 0.85], [0.85, 1]], 50).T
        found = concordance(x, y)
        inside += found.low <= 1.7 / 2.25 <= found.high

    assert inside / 1000 == pytest.approx(0.95, abs=0.02)


def test_a_mean_has_the_interval_of_students_t():
    values = WRIGHT - MINI
    other = stats.ttest_1samp(values, 0).confidence_interval(0.95)

    assert bounds(mean(values)) == pytest.approx([values.mean(), other.low, other.high])


def test_root_mean_square_of_three_and_four():
    assert root_mean_square(np.array([3.0, -4.0])).value == pytest.approx(np.sqrt(12.5))


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (1, 20), (10, 30), (81, 263), (30, 30)])
def test_shares_meet_scipys_wilson_interval(hits, n):
    other = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")

    assert bounds(share(np.arange(n) < hits)) == pytest.approx([hits / n, other.low, other.high], abs=1e-12)


def test_wilsons_published_example():
    # Newcombe, Stat Med 1998;17:857, table I: 81 of 263, method 3.
    assert bounds(share(np.arange(263) < 81)) == pytest.approx([0.3080, 0.2553, 0.3662], abs=5e-5)


def test_the_calibration_line_meets_scipy():
    x, y = correlated()
    other = stats.linregress(x, y)

    found = calibration_line(x, y)

    assert found.slope.value == pytest.approx(other.slope)
    assert found.intercept.value == pytest.approx(other.intercept)
    assert found.slope.high - found.slope.low == pytest.approx(2 * stats.t.ppf(0.975, 58) * other.stderr)


def test_a_calibrated_reader_has_slope_one_and_intercept_zero():
    random = np.random.default_rng(5)
    predicted = random.normal(0.9, 0.15, 5000)

    found = calibration_line(predicted, predicted + random.normal(0, 0.06, 5000))

    assert found.slope.low < 1 < found.slope.high
    assert found.intercept.low < 0 < found.intercept.high


def test_a_bootstrapped_difference_has_nearly_the_interval_of_students_t():
    random = np.random.default_rng(6)
    own, rival = np.abs(random.normal(0, 1.0, 300)), np.abs(random.normal(0, 1.3, 300))

    found = paired_bootstrap(lambda taken: float((own[taken] - rival[taken]).mean()), 300)

    assert bounds(found) == pytest.approx(bounds(mean(own - rival)), abs=0.02)


@pytest.mark.parametrize("figure", [pearson, concordance])
@pytest.mark.parametrize("y", [[0.7, 0.7, 0.7, 0.7, 0.7], [0.7, 0.8, 0.9]])
def test_what_cannot_be_had_says_why(figure, y):
    found = figure(np.linspace(0.6, 1.0, len(y)), np.array(y))

    assert bounds(found) == [None, None, None]
    assert "needs 4 pairs" in found.note


@pytest.mark.parametrize("figure", [pearson, concordance])
def test_points_on_a_line_have_no_interval(figure):
    x = np.linspace(0.6, 1.0, 5)

    found = figure(x, x)

    assert found.value == pytest.approx(1.0)
    assert found.low is None
    assert found.note


def test_nobody_has_no_share():
    assert share(np.array([], bool)).note == "nobody to count"
