"""AUC against scikit-learn, a plain form of DeLong's components, a published example, and resampling."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from screening.roc import auc, auc_difference, delong, weighted_auc


def scores(n=120, seed=0, decimals=1):
    """Scores with many ties and who has it."""
    random = np.random.default_rng(seed)
    holds = random.random(n) < 0.3
    return np.round(random.normal(0, 1, n) + 1.2 * holds, decimals), holds


def plain_components(score, holds):
    """DeLong's components, each pair by itself."""
    above = score[holds][:, None] - score[~holds][None, :]
    psi = (above > 0) + 0.5 * (above == 0)
    return psi.mean(axis=1), psi.mean(axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_auc_meets_scikit_learn_with_ties(seed):
    score, holds = scores(seed=seed)

    assert auc(score, holds).value == pytest.approx(roc_auc_score(holds, score), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_components_by_ranks_are_those_of_the_definition(seed):
    score, holds = scores(seed=seed)

    found = delong(score, holds)

    of_positives, of_negatives = plain_components(score, holds)
    assert found.of_positives == pytest.approx(of_positives)
    assert found.of_negatives == pytest.approx(of_negatives)


def test_the_standard_error_is_that_of_resampled_patients():
    score, holds = scores(n=300, seed=1)
    random = np.random.default_rng(2)
    draws = (random.integers(300, size=300) for _ in range(800))
    spread = np.std([delong(score[taken], holds[taken]).value for taken in draws])

    assert delong(score, holds).standard_error == pytest.approx(spread, rel=0.09)


def test_the_interval_covers_the_truth_near_one():
    # Normal scores 2.5 SD apart: AUC = Phi(2.5 / sqrt 2) = 0.9615; 15 with and 45 without.
    random = np.random.default_rng(3)
    holds = np.arange(60) < 15
    found = [auc(random.normal(2.5 * holds, 1.0), holds) for _ in range(1000)]

    inside = np.mean([one.low <= 0.96145 <= one.high for one in found])
    assert inside == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize("seed", range(20))
def test_the_interval_stays_within_zero_and_one(seed):
    random = np.random.default_rng(seed)
    holds = np.arange(30) < 6

    found = auc(random.normal(2.5 * holds, 1.0), holds)

    assert 0 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize("sign", [1, -1])
def test_perfect_separation_is_not_certain(sign):
    score, holds = sign * np.arange(20.0), np.arange(20) >= 15

    found = auc(score, holds)

    assert found.value == (1 if sign > 0 else 0)
    assert found.high - found.low > 0.1
    assert found.note == "perfect separation"


@pytest.mark.parametrize("holds", [np.arange(20) < 1, np.arange(20) < 20, np.arange(20) < 0])
def test_one_class_alone_has_no_auc(holds):
    assert auc(np.arange(20.0), holds).value is None


def test_scores_that_are_all_alike_have_no_auc():
    assert auc(np.ones(20), np.arange(20) < 8).value is None


def test_the_difference_of_two_readers_is_that_of_resampled_patients():
    random = np.random.default_rng(4)
    holds = random.random(400) < 0.3
    truth = random.normal(1.5 * holds, 1.0)
    own, rival = truth + random.normal(0, 0.3, 400), truth + random.normal(0, 1.0, 400)
    draws = (random.integers(400, size=400) for _ in range(800))
    differences = [delong(own[t], holds[t]).value - delong(rival[t], holds[t]).value for t in draws]

    found = auc_difference(own, rival, holds)

    assert found.value == pytest.approx(roc_auc_score(holds, own) - roc_auc_score(holds, rival))
    assert (found.high - found.low) / 3.92 == pytest.approx(np.std(differences), rel=0.1)


def test_a_reader_does_not_differ_from_one_of_the_same_order():
    score, holds = scores(decimals=6)

    found = auc_difference(score, 2 * score + 1, holds)

    assert (found.value, found.low, found.high) == pytest.approx((0, 0, 0))


@pytest.mark.parametrize("seed", range(3))
def test_weights_stand_for_patients_repeated(seed):
    score, holds = scores(seed=seed)
    times = np.random.default_rng(seed).integers(0, 4, len(score))

    repeated = roc_auc_score(np.repeat(holds, times), np.repeat(score, times))
    assert weighted_auc(score, holds, times.astype(float)) == pytest.approx(repeated)
    assert weighted_auc(score, holds, times + 0.5) == pytest.approx(
        roc_auc_score(holds, score, sample_weight=times + 0.5)
    )


def test_a_million_patients_take_seconds():
    random = np.random.default_rng(5)
    holds = random.random(1_000_000) < 0.1

    found = auc(random.normal(holds, 1.0), holds)

    assert found.value == pytest.approx(0.7602, abs=0.003)  # Phi(1 / sqrt 2)


def test_the_interval_and_the_paired_test_meet_an_independent_library():
    # MLstatkit 0.1.91, Delong_test: AUC 0.8159 with Wald's interval 0.68025 to 0.95162, AUC 0.7541, p 0.563274.
    holds = np.arange(40) % 3 == 0
    own = np.round(np.sin(np.arange(40) * 1.7) + 1.2 * holds, 2)
    rival = np.round(np.cos(np.arange(40) * 2.3) + 0.5 * holds, 2)

    found, difference = delong(own, holds), auc_difference(own, rival, holds)

    assert found.value == pytest.approx(0.8159341)
    assert 2 * 1.959964 * found.standard_error == pytest.approx(0.9516206 - 0.6802475, abs=1e-6)
    z = difference.value / ((difference.high - difference.low) / (2 * 1.959964))
    assert 2 * norm.sf(z) == pytest.approx(0.5632736, abs=1e-6)
