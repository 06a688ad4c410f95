"""Figures of pairs against what was planted, and against plain counting."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, confusion_matrix, roc_auc_score

from screening.pairing import Pairs
from screening.validation import figures, folds, hu_regression, operating_point, reader_figures


def some_pairs(n=400, seed=0, *, bias=0.02, error=0.05, group=None):
    random = np.random.default_rng(seed)
    bmd_dxa = random.normal(0.88, 0.14, n)
    bmd_cnn = bmd_dxa + bias + random.normal(0, error, n)
    low = bmd_dxa <= 0.772
    return Pairs(
        study_instance_uid=[str(number) for number in range(n)],
        bmd_cnn=bmd_cnn,
        bmd_low=bmd_cnn - 1.645 * error,
        bmd_high=bmd_cnn + 1.645 * error,
        probability=1 / (1 + np.exp(40 * (bmd_cnn - 0.772))),
        likely=bmd_cnn <= 0.772,
        attenuation_hu120=130 + 300 * (bmd_dxa - 0.88) + random.normal(0, 30, n),
        bmd_dxa=bmd_dxa,
        osteoporosis=low.astype(float),
        age_years=random.uniform(40, 90, n),
        sex=["F"] * n,
        groups=pd.DataFrame({"sex": pd.Series(group if group is not None else ["F"] * n, dtype="category")}),
        scale="Hologic",
        left_out={},
    )


def test_planted_bias_and_error_are_found_within_their_intervals():
    found = reader_figures(some_pairs(n=3000), np.ones(3000, bool))

    assert found["bias_g_cm2"].low < 0.02 < found["bias_g_cm2"].high
    assert found["rmse_g_cm2"].low < np.hypot(0.02, 0.05) < found["rmse_g_cm2"].high
    assert found["upper_limit_g_cm2"].low < 0.02 + 1.96 * 0.05 < found["upper_limit_g_cm2"].high
    assert found["pearson_r"].low < 0.14 / np.hypot(0.14, 0.05) < found["pearson_r"].high


def test_the_interval_covers_nine_of_ten_where_nothing_is_biased():
    found = reader_figures(some_pairs(n=4000, bias=0.0), np.ones(4000, bool))

    assert found["coverage_90"].low < 0.9 < found["coverage_90"].high


def test_auc_and_brier_meet_scikit_learn():
    pairs = some_pairs()
    low = pairs.osteoporosis == 1

    found = reader_figures(pairs, np.ones(400, bool))

    assert found["auc"].value == pytest.approx(roc_auc_score(low, -pairs.bmd_cnn))
    assert found["brier"].value == pytest.approx(brier_score_loss(low, pairs.probability))


def test_the_operating_point_is_that_of_the_confusion_matrix():
    pairs = some_pairs()
    low = pairs.osteoporosis == 1
    (tn, fp), (fn, tp) = confusion_matrix(low, pairs.likely)

    found = operating_point(pairs.likely, low)

    assert found["sensitivity"].value == pytest.approx(tp / (tp + fn))
    assert found["specificity"].value == pytest.approx(tn / (tn + fp))
    assert found["ppv"].value == pytest.approx(tp / (tp + fp))
    assert found["npv"].value == pytest.approx(tn / (tn + fn))
    assert (found["sensitivity"].n, found["npv"].n) == (tp + fn, tn + fn)


def test_a_pair_without_a_figure_enters_only_those_that_it_has():
    pairs = some_pairs()
    pairs.bmd_dxa[:100] = np.nan
    pairs.osteoporosis[300:] = np.nan

    found = reader_figures(pairs, np.ones(400, bool))

    assert found["pearson_r"].n == found["coverage_90"].n == 300
    assert found["auc"].n == found["brier"].n == 300


@pytest.mark.parametrize(("n", "known"), [(19, False), (20, True)])
def test_a_subgroup_of_fewer_than_20_says_so_instead_of_a_figure(n, known):
    pairs = some_pairs(group=["A"] * n + ["B"] * (400 - n))

    found = [one for one in figures(pairs, 20) if one.subgroup == "A"]

    bias = next(one.estimate for one in found if one.metric == "bias_g_cm2")
    assert bias.known == known
    assert bias.n == n
    assert bias.note == ("" if known else "fewer than 20 patients")


def test_every_subgroup_is_measured_on_its_own_patients():
    group = np.where(np.arange(400) % 3 == 0, "A", "B")
    pairs = some_pairs(group=group)

    found = {
        one.subgroup: one.estimate for one in figures(pairs, 20) if one.metric == "mae_g_cm2" and one.dimension == "sex"
    }

    error = np.abs(pairs.bmd_cnn - pairs.bmd_dxa)
    assert found["A"].value == pytest.approx(error[group == "A"].mean())
    assert found["B"].value == pytest.approx(error[group == "B"].mean())


def test_the_ruler_is_fitted_to_other_patients():
    pairs = some_pairs()
    changed = pairs.bmd_dxa.copy()
    changed[7] += 0.5
    own_fold = folds(400, 5, 0)

    before = hu_regression(pairs.attenuation_hu120, pairs.bmd_dxa)
    after = hu_regression(pairs.attenuation_hu120, changed)

    assert after[7] == before[7]
    assert np.array_equal(after[own_fold == own_fold[7]], before[own_fold == own_fold[7]])
    assert np.all(after[own_fold != own_fold[7]] != before[own_fold != own_fold[7]])


def test_the_ruler_says_nothing_where_there_is_no_attenuation():
    pairs = some_pairs()
    pairs.attenuation_hu120[:10] = np.nan

    read = hu_regression(pairs.attenuation_hu120, pairs.bmd_dxa)

    assert np.isnan(read[:10]).all() and not np.isnan(read[10:]).any()


def test_few_pairs_make_no_ruler():
    assert np.isnan(hu_regression(np.arange(8.0), np.arange(8.0))).all()


def test_the_better_reader_differs_from_the_ruler():
    found = {one.metric: one.estimate for one in figures(some_pairs(bias=0.0), 20) if one.reader == "difference"}

    assert found["mae_g_cm2"].high < 0
    assert found["auc"].low > 0


def test_two_pairs_have_figures_or_notes_and_no_error():
    found = list(figures(some_pairs(n=2), 20))

    assert all(one.estimate.known or one.estimate.note for one in found)
