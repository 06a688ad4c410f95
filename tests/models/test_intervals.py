import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from models.intervals import (
    delong_sd,
    mean,
    osteoporosis_auc,
    paired_difference,
    pearson,
    root_mean_square,
    share,
)


def test_r_comes_with_fishers_interval():
    reference = np.linspace(0.5, 1.2, 45)
    read = reference + np.random.default_rng(1).normal(0, 0.1, 45)

    found = pearson(read, reference)

    r = np.corrcoef(read, reference)[0, 1]
    assert found.value == pytest.approx(r)
    assert found.low == pytest.approx(np.tanh(np.arctanh(r) - 1.959964 / np.sqrt(42)))
    assert found.high == pytest.approx(np.tanh(np.arctanh(r) + 1.959964 / np.sqrt(42)))


def test_r_of_three_patients_is_undefined():
    with pytest.raises(ValueError, match="four patients"):
        pearson(np.arange(3.0), np.arange(3.0))


def test_low_bmd_counts_towards_osteoporosis():
    bmd = np.array([0.6, 0.7, 0.9, 0.75, 1.0, 1.1])
    osteoporosis = np.array([True, True, True, False, False, False])

    assert osteoporosis_auc(bmd, osteoporosis).value == pytest.approx(roc_auc_score(osteoporosis, -bmd))


def test_delong_agrees_with_the_spread_of_resampled_patients():
    random = np.random.default_rng(2)
    ill, well = random.normal(1.2, 1.0, 60), random.normal(0.0, 1.0, 90)
    positive = np.arange(150) < 60

    resampled = stats.bootstrap(
        (ill, well),
        lambda a, b, axis: stats.mannwhitneyu(a, b, axis=axis).statistic / (60 * 90),
        n_resamples=1000,
        rng=random,
        method="percentile",
    )

    assert delong_sd(np.concatenate([ill, well]), positive) == pytest.approx(resampled.standard_error, rel=0.1)


def test_the_interval_of_an_auc_stays_within_its_limits():
    bmd = np.array([0.60, 0.70, 0.76, 0.75, 0.9, 1.0, 1.1])
    found = osteoporosis_auc(bmd, np.arange(7) < 3)

    assert 0.0 < found.low < found.value < found.high < 1.0


def test_perfect_separation_is_less_certain_with_fewer_patients():
    few = osteoporosis_auc(np.arange(8.0), np.arange(8) < 4)
    many = osteoporosis_auc(np.arange(400.0), np.arange(400) < 200)

    assert (few.value, few.high, many.value) == (1.0, 1.0, 1.0)
    assert few.low < 0.8
    assert 0.97 < many.low < 1.0


def test_perfect_separation_the_wrong_way_round_is_mirrored():
    right = osteoporosis_auc(np.arange(8.0), np.arange(8) < 4)
    wrong = osteoporosis_auc(-np.arange(8.0), np.arange(8) < 4)

    assert (wrong.value, wrong.low) == (0.0, 0.0)
    assert wrong.high == pytest.approx(1 - right.low)


@pytest.mark.parametrize("n_low", [0, 1, 9, 10])
def test_an_auc_of_one_class_is_undefined(n_low):
    with pytest.raises(ValueError, match="AUC is undefined"):
        osteoporosis_auc(np.arange(10.0), np.arange(10) < n_low)


def test_mean_has_students_interval():
    values = np.array([0.02, 0.05, 0.03, 0.08])

    found = mean(values)

    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (found.value, found.low, found.high) == pytest.approx((0.045, expected.low, expected.high))


def test_share_has_wilsons_interval():
    found = share(np.arange(10) < 9)

    assert (found.value, found.low, found.high) == pytest.approx((0.9, 0.5958, 0.9821), abs=1e-4)


def test_the_root_mean_square_lies_within_its_bounds():
    found = root_mean_square(np.array([0.03, -0.03, 0.04, -0.04]))

    assert found.value == pytest.approx(np.sqrt(0.00125))
    assert 0.0 <= found.low < found.value < found.high


def test_a_paired_difference_has_the_interval_of_its_mean():
    values = np.random.default_rng(5).normal(1.0, 2.0, 400)

    found = paired_difference(lambda own: float(values[own].mean()), 400)

    student = mean(values)
    assert found.value == pytest.approx(student.value)
    assert (found.low, found.high) == pytest.approx((student.low, student.high), abs=0.02)


def test_resamples_that_leave_the_difference_undefined_do_not_count():
    found = paired_difference(lambda own: 1.0 if 0 in own else float("nan"), 3)

    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
