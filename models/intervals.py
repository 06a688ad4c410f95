"""Patients' readings and references -> figures with their 95 % confidence intervals."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from models.evaluation import rank_auc

Array = NDArray[np.float64]
CONFIDENCE = 0.95
RESAMPLES, RESAMPLING_SEED = 2000, 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % confidence interval."""

    value: float
    low: float
    high: float


def pearson(read: Array, reference: Array) -> Estimate:
    """Pearson's r with Fisher's interval.

    Raises:
        ValueError: fewer than four patients, or all of one value.
    """
    if len(read) < 4 or np.ptp(read) == 0 or np.ptp(reference) == 0:
        raise ValueError(f"r is undefined: it needs four patients of different BMD, found {len(read)}")
    found = stats.pearsonr(read, reference)
    interval = found.confidence_interval(CONFIDENCE)
    return Estimate(float(found.statistic), float(interval.low), float(interval.high))


def osteoporosis_auc(bmd_g_cm2: Array, osteoporosis: NDArray[np.bool_]) -> Estimate:
    """AUC of low BMD for osteoporosis with DeLong's interval, on the logit scale so that it stays within 0 and 1.

    Where BMD separates perfectly, DeLong's variance is 0 although the figure is not certain; the bound is then the
    AUC that lies its own Hanley-McNeil margin below 1 (method 5 of Newcombe, Stat Med 2006;25:559).

    Raises:
        ValueError: fewer than two patients with, or without, osteoporosis.
    """
    with_it, without = int(osteoporosis.sum()), int((~osteoporosis).sum())
    if min(with_it, without) < 2:
        raise ValueError(
            f"AUC is undefined: it needs two patients with and two without osteoporosis by DXA (T <= -2.5), found "
            f"{with_it} with and {without} without; take more patients or another seed"
        )
    auc = rank_auc(-bmd_g_cm2, osteoporosis)
    if auc in (0.0, 1.0):
        bound = _bound_below_one(with_it, without)
        return Estimate(auc, bound, 1.0) if auc else Estimate(auc, 0.0, 1 - bound)
    margin = _z() * delong_sd(-bmd_g_cm2, osteoporosis) / (auc * (1 - auc))
    logit = math.log(auc / (1 - auc))
    return Estimate(auc, _expit(logit - margin), _expit(logit + margin))


def delong_sd(score: Array, positive: NDArray[np.bool_]) -> float:
    """Standard error of the AUC (DeLong et al., Biometrics 1988;44:837)."""
    difference = score[positive][:, None] - score[~positive][None, :]
    above = (difference > 0) + 0.5 * (difference == 0)
    of_positives, of_negatives = above.mean(axis=1), above.mean(axis=0)
    variance = of_positives.var(ddof=1) / len(of_positives) + of_negatives.var(ddof=1) / len(of_negatives)
    return math.sqrt(float(variance))


def _bound_below_one(with_it: int, without: int) -> float:
    others = (with_it + without) / 2 - 1

    def beyond_margin(auc: float) -> float:
        spread = 1 + others * ((1 - auc) / (2 - auc) + auc / (1 + auc))
        return (1 - auc) ** 2 - _z() ** 2 * auc * (1 - auc) * spread / (with_it * without)

    return float(optimize.brentq(beyond_margin, 0.0, 1 - 1e-9))


def mean(values: Array) -> Estimate:
    """Mean with Student's interval."""
    centre = float(values.mean())
    margin = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(values) - 1) * stats.sem(values))
    return Estimate(centre, centre - margin, centre + margin)


def root_mean_square(errors: Array) -> Estimate:
    """Root mean square with the roots of Student's bounds of the mean square."""
    square = mean(errors**2)
    return Estimate(math.sqrt(square.value), math.sqrt(max(square.low, 0.0)), math.sqrt(square.high))


def paired_difference(difference: Callable[[NDArray[np.int64]], float], patients: int) -> Estimate:
    """Difference of two readers with the percentile interval over resampled patients, always the same resamples.

    Args:
        difference: from the indices of the patients taken to the difference; NaN where these leave it undefined,
            such as an AUC of one class, and then the resample does not count.
        patients: how many there are.
    """
    random = np.random.default_rng(RESAMPLING_SEED)
    found = np.array([difference(random.integers(patients, size=patients)) for _ in range(RESAMPLES)])
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(found[np.isfinite(found)], [tail, 100 - tail])
    return Estimate(difference(np.arange(patients)), float(low), float(high))


def share(holds: NDArray[np.bool_]) -> Estimate:
    """Share of true values with Wilson's interval."""
    interval = stats.binomtest(int(holds.sum()), len(holds)).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(float(holds.mean()), float(interval.low), float(interval.high))


def _z() -> float:
    return float(stats.norm.ppf(0.5 + CONFIDENCE / 2))


def _expit(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
