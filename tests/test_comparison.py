"""Which of two checkpoints reads the same patients better."""

import json

import numpy as np
import pytest

from screening.comparison import compare


def readers(n=300, seed=0, *, current=0.08, candidate=0.05, bias=0.0):
    random = np.random.default_rng(seed)
    bmd_dxa = random.normal(0.88, 0.14, n)
    first, second = (bmd_dxa + random.normal(0, error, n) for error in (current, candidate))
    return first, second + bias, bmd_dxa, (bmd_dxa <= 0.772).astype(float)


def test_nothing_speaks_against_the_better_one():
    found = compare(*readers())

    assert found.objection is None
    assert found.difference["mae_g_cm2"].high < 0


def test_a_worse_one_is_objected_to():
    found = compare(*readers(current=0.05, candidate=0.08))

    assert "mean absolute error is larger" in found.objection


def test_a_better_order_does_not_make_up_for_a_larger_error():
    assert "mean absolute error" in compare(*readers(bias=0.15)).objection


def test_a_smaller_error_does_not_make_up_for_a_lost_order():
    current, _, bmd_dxa, osteoporosis = readers(n=600)
    flat = 0.85 + 0.05 * (np.random.default_rng(1).normal(0, 1, 600))

    found = compare(current + 0.2, flat, bmd_dxa, osteoporosis)

    assert found.difference["mae_g_cm2"].high < 0
    assert "AUC is smaller" in found.objection


def test_one_that_reads_the_same_may_be_promoted():
    current, _, bmd_dxa, osteoporosis = readers()

    assert compare(current, current.copy(), bmd_dxa, osteoporosis).objection is None


@pytest.mark.parametrize(("n", "comparable"), [(19, False), (20, True)])
def test_fewer_than_20_pairs_are_too_few(n, comparable):
    current, candidate, bmd_dxa, osteoporosis = readers(n=40, candidate=0.001)
    candidate[n:] = np.nan

    found = compare(current, candidate, bmd_dxa, osteoporosis)

    assert found.n == n
    assert (found.objection is None) == comparable


def test_pairs_without_a_bmd_on_the_scale_compare_nothing():
    current, candidate, bmd_dxa, osteoporosis = readers(n=40, candidate=0.001)
    bmd_dxa[19:] = np.nan

    assert compare(current, candidate, bmd_dxa, osteoporosis).objection is not None


def test_both_are_measured_on_pairs_that_both_have_read():
    current, candidate, bmd_dxa, osteoporosis = readers()
    current[:50], candidate[250:] = np.nan, np.nan

    found = compare(current, candidate, bmd_dxa, osteoporosis)

    own = np.abs(candidate - bmd_dxa)[50:250].mean()
    assert found.candidate["mae_g_cm2"].value == pytest.approx(own)
    assert found.current["mae_g_cm2"].n == 200


def test_the_difference_is_that_of_the_errors():
    current, candidate, bmd_dxa, osteoporosis = readers()

    found = compare(current, candidate, bmd_dxa, osteoporosis).difference["mae_g_cm2"]

    assert found.value == pytest.approx((np.abs(candidate - bmd_dxa) - np.abs(current - bmd_dxa)).mean())


def test_the_document_is_json_without_nan():
    nothing = np.full(30, np.nan)

    assert json.loads(json.dumps(compare(nothing, nothing, nothing, nothing).document(), allow_nan=False))["n"] == 0
