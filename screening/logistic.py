"""Covariates, or a stated probability, and who has it -> logistic fit, and whether the probability is calibrated."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from screening.statistics import NORMAL, Array, Estimate, Flags, Line, around, undefined


@dataclass(frozen=True, slots=True)
class Logistic:
    """Maximum likelihood fit: p = 1 / (1 + exp(-design @ coefficients))."""

    coefficients: Array  # (k,)
    covariance: Array  # (k, k)


def probability_line(probability: Array, holds: Flags) -> Line:
    """Logistic regression of the outcome on the logit of its predicted probability, with Wald's intervals.

    The intercept is calibration in the large: it is estimated with the slope held at 1 (Cox; Van Calster, BMC Med
    2019;17:230).
    """
    n = len(holds)
    if holds.all() or not holds.any() or n < 10:
        nothing = undefined(n, "calibration of a probability needs 10 patients, some with and some without")
        return Line(nothing, nothing)
    logit = np.asarray(np.log(_inside(probability)) - np.log1p(-_inside(probability)), dtype=np.float64)
    outcome = holds.astype(np.float64)
    large = logistic(np.ones((n, 1)), outcome, offset=logit)
    line = logistic(np.column_stack([np.ones(n), logit]), outcome)
    return Line(_wald(large, 0, n), _wald(line, 1, n))


def _wald(found: Logistic | None, place: int, n: int) -> Estimate:
    if found is None:
        return undefined(n, "no finite estimate: the prediction separates the classes perfectly")
    return around(float(found.coefficients[place]), NORMAL * math.sqrt(float(found.covariance[place, place])), n)


_LEAST_PROBABILITY: Final = 1e-9  # a stated probability of 0 or 1 has no logit


def _inside(probability: Array) -> Array:
    return np.clip(probability, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)


_NEWTON_STEPS: Final = 50
_FURTHEST_LOGIT: Final = 30.0  # a fit that goes there separates the classes: its estimate is infinite


def logistic(
    design: Array, outcome: Array, *, weights: Array | None = None, offset: Array | None = None
) -> Logistic | None:
    """Fit by Newton's method; None where there is no finite estimate.

    Args:
        design: (n, k), with a column of ones where an intercept is wanted.
        outcome: (n,), 0 to 1; with `weights` a share.
        weights: (n,), how many observations a row stands for.
        offset: (n,), added to the linear predictor.
    """
    count = np.ones(len(design)) if weights is None else weights
    shift = np.zeros(len(design)) if offset is None else offset
    coefficients = np.zeros(design.shape[1])
    for _ in range(_NEWTON_STEPS):
        fitted = 1 / (1 + np.exp(-np.clip(design @ coefficients + shift, -_FURTHEST_LOGIT, _FURTHEST_LOGIT)))
        information = design.T @ (design * (count * fitted * (1 - fitted))[:, None])
        if np.linalg.matrix_rank(information, hermitian=True) < len(information):
            return None
        step = np.linalg.solve(information, design.T @ (count * (outcome - fitted)))
        coefficients = coefficients + step
        if float(np.abs(step).max()) < 1e-9 * (1 + float(np.abs(coefficients).max())):
            return Logistic(coefficients, np.asarray(np.linalg.inv(information), dtype=np.float64))
    return None
