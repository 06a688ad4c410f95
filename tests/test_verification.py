"""Weighting to all who were scanned, against a truth that was planted."""

import numpy as np
import pytest

from screening.verification import Unverified, Verified, weighted_figures


def scanned(n=20_000, seed=0, leaning=1.2):
    """Everybody who was scanned, and who of them had a DXA: the low more often."""
    random = np.random.default_rng(seed)
    age = random.uniform(50, 90, n)
    female = random.random(n) < 0.5
    bmd_dxa = 0.9 - 0.004 * (age - 70) - 0.05 * female + random.normal(0, 0.12, n)
    bmd_cnn = bmd_dxa + random.normal(0, 0.06, n)
    logit = -2.2 - leaning * (bmd_cnn - 0.9) / 0.11 + 0.02 * (age - 70) + 0.5 * female
    has_dxa = random.random(n) < 1 / (1 + np.exp(-logit))
    return age, female, bmd_cnn, bmd_dxa <= 0.772, has_dxa


def split(age, female, bmd_cnn, low, has_dxa):
    sex = np.where(female, "F", "M")
    verified = Verified(
        age[has_dxa], sex[has_dxa].tolist(), bmd_cnn[has_dxa], (bmd_cnn <= 0.772)[has_dxa], low[has_dxa]
    )
    rest = ~has_dxa
    unverified = Unverified(age[rest], sex[rest].tolist(), bmd_cnn[rest], np.ones(rest.sum()))
    return verified, unverified


def test_what_would_be_found_in_everybody_lies_in_the_intervals_and_what_dxa_alone_shows_does_not():
    age, female, bmd_cnn, low, has_dxa = scanned()
    likely = bmd_cnn <= 0.772

    found = weighted_figures(*split(age, female, bmd_cnn, low, has_dxa), weight_cap=50.0)

    truth = {"sensitivity": likely[low].mean(), "specificity": (~likely[~low]).mean(), "prevalence": low.mean()}
    assert all(found[name].low < value < found[name].high for name, value in truth.items())
    with_dxa = (~likely[~low & has_dxa]).mean()
    assert with_dxa < found["specificity"].low


def test_the_weighted_auc_covers_the_truth_over_many_hospitals():
    # At 95 % coverage fewer than 8 hits of 10 has a chance of 1 %; over 100 other seeds there were 94.
    inside = 0
    for seed in range(10):
        age, female, bmd_cnn, low, has_dxa = scanned(n=3000, seed=seed)
        found = weighted_figures(*split(age, female, bmd_cnn, low, has_dxa), weight_cap=50.0)["auc"]
        inside += found.low < TRUE_AUC < found.high

    assert inside >= 8


# Of a million scanned patients of the same law.
TRUE_AUC = 0.9536


def test_chance_alone_weighs_everybody_alike():
    age, female, bmd_cnn, low, _ = scanned(n=4000)
    has_dxa = np.random.default_rng(1).random(4000) < 0.5

    found = weighted_figures(*split(age, female, bmd_cnn, low, has_dxa), weight_cap=20.0)

    assert found["largest_weight"].value < 1.5
    assert found["capped_share"].value == 0


def test_weights_are_capped_and_it_is_said_how_many():
    found = weighted_figures(*split(*scanned(n=4000)), weight_cap=2.0)

    assert found["largest_weight"].value > 2
    assert 0 < found["capped_share"].value < 0.3


def test_patients_of_unknown_age_are_left_out():
    verified, unverified = split(*scanned(n=4000))
    verified.age_years[:5] = np.nan
    unverified.age_years[:5] = np.nan

    assert weighted_figures(verified, unverified, 20.0)["auc"].n == len(verified.sex) - 5


def test_one_class_alone_cannot_be_weighted():
    verified, unverified = split(*scanned(n=500))
    verified.osteoporosis[:] = False

    assert weighted_figures(verified, unverified, 20.0)["auc"].note.startswith("needs 2 with")


def test_a_dxa_that_is_foretold_perfectly_cannot_be_weighted():
    age, female, bmd_cnn, low, _ = scanned(n=500)

    found = weighted_figures(*split(age, female, bmd_cnn, low, bmd_cnn < 0.9), weight_cap=20.0)

    assert found["auc"].note == "age, sex and BMD_CNN foretell the DXA perfectly"


@pytest.mark.parametrize("name", ["auc", "sensitivity", "specificity", "prevalence"])
def test_the_same_patients_give_the_same_intervals(name):
    parts = split(*scanned(n=1000))

    assert weighted_figures(*parts, weight_cap=20.0)[name] == weighted_figures(*parts, weight_cap=20.0)[name]
