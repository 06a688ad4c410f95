"""Scores of patients with and without osteoporosis -> area under the ROC curve with its 95 % confidence interval."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from screening.statistics import NORMAL, Array, Estimate, Flags, around, undefined


def auc(score: Array, holds: Flags) -> Estimate:
    """Chance that one who has it scores above one who has not, ties half; DeLong's interval on the logit scale.

    On that scale it stays within 0 and 1. Where the score separates perfectly DeLong's variance is 0 although the
    figure is not certain: the bound is then the AUC that lies its own Hanley-McNeil margin away (method 5 of Newcombe,
    Stat Med 2006;25:559).
    """
    parts = delong(score, holds)
    if parts is None or np.ptp(score) == 0:
        return undefined(len(score), "AUC needs 2 with and 2 without osteoporosis, and scores that differ")
    value, with_it, without = parts.value, len(parts.of_positives), len(parts.of_negatives)
    if value in (0.0, 1.0):
        bound = _bound_below_one(with_it, without)
        low, high = (bound, 1.0) if value else (0.0, 1 - bound)
        return Estimate(value, low, high, len(score), "perfect separation")
    margin = NORMAL * parts.standard_error / (value * (1 - value))
    logit = math.log(value / (1 - value))
    return Estimate(value, _expit(logit - margin), _expit(logit + margin), len(score))


@dataclass(frozen=True, slots=True)
class DeLong:
    """AUC with its structural components (DeLong et al., Biometrics 1988;44:837)."""

    value: float
    of_positives: Array  # share of the others that each one with the disease scores above
    of_negatives: Array  # share of the diseased that each of the others scores below

    @property
    def standard_error(self) -> float:
        """Standard error of the AUC."""
        return math.sqrt(_variance_of_mean(self.of_positives) + _variance_of_mean(self.of_negatives))


def delong(score: Array, holds: Flags) -> DeLong | None:
    """Structural components by mid-ranks, O(n log n) (Sun & Xu, IEEE Signal Process Lett 2014;21:1389)."""
    with_it, without = int(holds.sum()), int((~holds).sum())
    if min(with_it, without) < 2:
        return None
    ranks = stats.rankdata(score)
    among_positives, among_negatives = stats.rankdata(score[holds]), stats.rankdata(score[~holds])
    of_positives = (ranks[holds] - among_positives) / without
    of_negatives = 1 - (ranks[~holds] - among_negatives) / with_it
    return DeLong(float(of_positives.mean()), of_positives, of_negatives)


def auc_difference(score: Array, rival: Array, holds: Flags) -> Estimate:
    """AUC of the score minus that of its rival in the same patients, with DeLong's paired interval."""
    own, other = delong(score, holds), delong(rival, holds)
    if own is None or other is None:
        return undefined(len(score), "AUC needs 2 with and 2 without osteoporosis")
    difference = DeLong(
        own.value - other.value, own.of_positives - other.of_positives, own.of_negatives - other.of_negatives
    )
    return around(difference.value, NORMAL * difference.standard_error, len(score))


def weighted_auc(score: Array, holds: Flags, weights: Array) -> float:
    """AUC of patients who stand for different numbers of people, ties half; NaN without both classes."""
    order = np.argsort(score, kind="stable")
    _, first = np.unique(score[order], return_index=True)
    positives = np.add.reduceat(np.where(holds, weights, 0.0)[order], first)
    negatives = np.add.reduceat(np.where(holds, 0.0, weights)[order], first)
    total = positives.sum() * negatives.sum()
    below = np.cumsum(negatives) - negatives / 2
    return float((positives * below).sum() / total) if total > 0 else math.nan


def _variance_of_mean(values: Array) -> float:
    return float(values.var(ddof=1)) / len(values)


def _bound_below_one(with_it: int, without: int) -> float:
    others = (with_it + without) / 2 - 1

    def beyond_margin(value: float) -> float:
        spread = 1 + others * ((1 - value) / (2 - value) + value / (1 + value))
        return (1 - value) ** 2 - NORMAL**2 * value * (1 - value) * spread / (with_it * without)

    return float(optimize.brentq(beyond_margin, 0.0, 1 - 1e-9))


def _expit(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
