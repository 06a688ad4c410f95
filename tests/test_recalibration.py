"""Recalibrations against planted lines and bends, and their figures against patients never seen."""

import numpy as np
import pytest

from screening.errors import UserError
from screening.prediction.knots import IDENTITY, composed, through
from screening.recalibration import conformal_half_width, fitted, recalibrate


def site(n=300, seed=0, law=lambda bmd: bmd, error=0.05):
    """BMD_CNN, and DXA that follows from it by a law."""
    random = np.random.default_rng(seed)
    bmd_cnn = random.normal(0.88, 0.15, n)
    bmd_dxa = law(bmd_cnn) + random.normal(0, error, n)
    return bmd_cnn, bmd_dxa, (bmd_dxa <= 0.772).astype(float)


def line(bmd):
    return 0.15 + 0.8 * bmd


def bend(bmd):
    return np.where(bmd < 0.9, 0.9 + 0.3 * (bmd - 0.9), 0.9 + 1.6 * (bmd - 0.9))


def test_a_planted_line_is_found():
    found = recalibrate(*site(n=2000, law=line), kind="linear")

    (_, offset), (_, end) = found.knots
    assert (offset, end - offset) == pytest.approx((0.15, 0.8), abs=0.02)


def test_a_planted_bend_is_found():
    found = recalibrate(*site(n=2000, law=bend), kind="isotonic")

    places = np.array([0.6, 0.75, 0.9, 1.05, 1.2])
    assert through(found.knots, places) == pytest.approx(bend(places), abs=0.03)


@pytest.mark.parametrize(("law", "kind"), [(lambda bmd: bmd, "none"), (line, "linear"), (bend, "isotonic")])
def test_auto_takes_what_was_planted(law, kind):
    found = recalibrate(*site(n=600, seed=3, law=law))

    assert max(found.chosen, key=found.chosen.get) == kind
    assert found.kind == kind


def test_the_figures_are_those_of_patients_never_seen():
    found = recalibrate(*site(n=300, law=line))
    fresh_cnn, fresh_dxa, _ = site(n=20_000, seed=9, law=line)

    error = through(found.knots, fresh_cnn) - fresh_dxa
    assert found.after["rmse_g_cm2"].low < np.sqrt(np.mean(error**2)) < found.after["rmse_g_cm2"].high
    assert np.mean(np.abs(error) <= found.interval_half_width_g_cm2) == pytest.approx(0.9, abs=0.03)


def test_no_pair_has_a_say_in_how_it_is_read():
    bmd_cnn, bmd_dxa, osteoporosis = site()
    changed = bmd_dxa.copy()
    changed[11] += 0.4

    before, after = (recalibrate(bmd_cnn, dxa, osteoporosis, "linear").left_out for dxa in (bmd_dxa, changed))

    assert after[11] == before[11]
    assert (after != before).sum() > 200


@pytest.mark.parametrize(("n", "refused"), [(49, True), (50, False)])
def test_fewer_than_50_pairs_are_refused(n, refused):
    if refused:
        with pytest.raises(UserError, match="needs 50 pairs .* found 49"):
            recalibrate(*site(n=n))
    else:
        assert len(recalibrate(*site(n=n)).left_out) == n


@pytest.mark.parametrize("kind", ["linear", "isotonic"])
def test_bmd_that_falls_as_dxa_rises_is_refused(kind):
    with pytest.raises(UserError, match="does not rise"):
        recalibrate(*site(law=lambda bmd: 1.7 - bmd), kind=kind)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [45, 100, 1000])
def test_knots_rise_and_stand_on_ten_pairs_each(seed, n):
    bmd_cnn, bmd_dxa, _ = site(n=n, seed=seed, error=0.2)

    knots = np.array(fitted(bmd_cnn, bmd_dxa, "isotonic"))

    assert (np.diff(knots, axis=0) > 0).all()
    assert len(knots) - 2 <= min(n // 10, 20)


def test_metrics_tell_what_was_before():
    found = recalibrate(*site(law=line))

    assert found.metrics["n_patients"] == 300
    assert found.metrics["mae_g_cm2"] < found.metrics["mae_g_cm2_before"]


def test_knots_are_straight_between_and_beyond():
    knots = ((0.5, 0.6), (0.9, 0.8), (1.3, 1.4))

    assert through(knots, np.array([0.3, 0.5, 0.7, 0.9, 1.1, 1.5])) == pytest.approx([0.5, 0.6, 0.7, 0.8, 1.1, 1.7])


@pytest.mark.parametrize("then", [((0.0, 0.1), (1.0, 1.0)), ((0.6, 0.5), (0.85, 0.9), (1.2, 1.3)), IDENTITY])
def test_one_recalibration_after_another(then):
    first, places = ((0.5, 0.6), (0.9, 0.8), (1.3, 1.4)), np.linspace(0.1, 2.0, 200)

    assert through(composed(first, then), places) == pytest.approx(through(then, through(first, places)))


def test_half_width_is_the_conformal_rank():
    # 19 errors: the ceil(0.9 * 20) = 18th smallest.
    assert conformal_half_width(np.arange(1.0, 20.0)) == 18.0
