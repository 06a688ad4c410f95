"""Who had a DXA, and who had none -> how well BMD_CNN tells osteoporosis in all who were scanned.

Those who get a DXA differ from those who are scanned: older, more often women, more often with low bone density. Each
pair therefore stands for as many patients as there are per DXA among people of its age, sex and BMD_CNN (inverse
probability weighting). That is right as far as these three decide who gets a DXA; what else decides stays unseen.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from screening.logistic import logistic
from screening.roc import weighted_auc
from screening.statistics import Array, Estimate, Flags, percentile_bounds, undefined

RESAMPLES: Final = 300
RESAMPLING_SEED: Final = 0
# Steps in which age and BMD_CNN are told apart when the chance of a DXA is estimated.
AGE_STEP_YEARS, BMD_STEP_G_CM2 = 1.0, 0.02


@dataclass(frozen=True, slots=True)
class Verified:
    """Patients with a DXA that tells whether they have osteoporosis (n,)."""

    age_years: Array
    sex: list[str]
    bmd_cnn: Array  # g/cm2
    likely: Flags
    osteoporosis: Flags


@dataclass(frozen=True, slots=True)
class Unverified:
    """Cells of patients without such a DXA (m,), all of one age, sex and BMD_CNN."""

    age_years: Array
    sex: list[str]
    bmd_cnn: Array  # g/cm2
    patients: Array


@dataclass(frozen=True, slots=True)
class _Cells:
    design: Array  # (c, k)
    of_verified: NDArray[np.int64]  # (n,) cell of each
    unverified: Array  # (c,) patients


def weighted_figures(verified: Verified, unverified: Unverified, weight_cap: float) -> dict[str, Estimate]:
    """Estimate AUC, sensitivity and specificity in all who were scanned, with percentile intervals of a bootstrap.

    Args:
        verified: who had a DXA.
        unverified: who had none.
        weight_cap: no pair stands for more patients than so many times the average pair.
    """
    verified, unverified = _of_known_age(verified, unverified)
    n = len(verified.bmd_cnn)
    names = ("auc", "sensitivity", "specificity", "prevalence", "largest_weight", "capped_share")
    if min(int(verified.osteoporosis.sum()), int((~verified.osteoporosis).sum())) < 2:
        return {name: undefined(n, "needs 2 with and 2 without osteoporosis") for name in names}
    verified = _ordered(verified)
    cells = _cells(verified, unverified)
    weights = _weights(cells, np.ones(n), cells.unverified)
    if weights is None:
        return {name: undefined(n, "age, sex and BMD_CNN foretell the DXA perfectly") for name in names}
    capped = _capped(weights, np.ones(n), weight_cap)
    found = _figures(verified, capped)
    bounds = _bootstrap(verified, cells, weight_cap)
    estimates = {name: Estimate(found[name], *bounds[name], n) for name in names[:4]}
    estimates["largest_weight"] = Estimate(float(weights.max() / weights.mean()), None, None, n, "no interval")
    estimates["capped_share"] = Estimate(float(np.mean(weights > capped)), None, None, n, "no interval")
    return estimates


def _of_known_age(verified: Verified, unverified: Unverified) -> tuple[Verified, Unverified]:
    kept, others = ~np.isnan(verified.age_years), ~np.isnan(unverified.age_years)
    return (
        _taken(verified, np.flatnonzero(kept)),
        Unverified(
            unverified.age_years[others],
            [unverified.sex[place] for place in np.flatnonzero(others)],
            unverified.bmd_cnn[others],
            unverified.patients[others],
        ),
    )


def _ordered(verified: Verified) -> Verified:
    """Sort by BMD once, so that no resample needs to be sorted at length."""
    return _taken(verified, np.argsort(-verified.bmd_cnn, kind="stable"))


def _taken(verified: Verified, places: NDArray[np.int64]) -> Verified:
    return Verified(
        verified.age_years[places],
        [verified.sex[place] for place in places],
        verified.bmd_cnn[places],
        verified.likely[places],
        verified.osteoporosis[places],
    )


def _cells(verified: Verified, unverified: Unverified) -> _Cells:
    """Put everybody into cells of one age in years, sex and step of BMD_CNN."""
    age = np.floor(np.concatenate([verified.age_years, unverified.age_years]) / AGE_STEP_YEARS)
    bmd = np.round(np.concatenate([verified.bmd_cnn, unverified.bmd_cnn]) / BMD_STEP_G_CM2)
    sex = np.unique(np.array(verified.sex + unverified.sex), return_inverse=True)[1]
    keys, cell = np.unique(np.column_stack([age, sex, bmd]), axis=0, return_inverse=True)
    n = len(verified.bmd_cnn)
    patients = np.bincount(cell[n:], unverified.patients, minlength=len(keys)).astype(np.float64)
    return _Cells(_design(keys), cell[:n].astype(np.int64), patients)


def _design(keys: Array) -> Array:
    """Covariates of a cell: age and BMD with their squares, sex; what is the same for all says nothing."""
    age = (keys[:, 0] * AGE_STEP_YEARS - 65) / 10
    bmd = (keys[:, 2] * BMD_STEP_G_CM2 - 0.9) / 0.15
    sexes = [keys[:, 1] == code for code in np.unique(keys[:, 1])[1:]]
    columns = [column for column in (age, age**2, bmd, bmd**2, *sexes) if np.ptp(column.astype(np.float64)) > 0]
    return np.column_stack([np.ones(len(keys)), *columns]).astype(np.float64)


def _weights(cells: _Cells, drawn: Array, unverified: Array) -> Array | None:
    """Patients that each pair stands for (n,): one over the chance of a DXA in its cell."""
    verified = np.bincount(cells.of_verified, drawn, minlength=len(unverified))
    everybody = verified + unverified
    some = everybody > 0
    found = logistic(cells.design[some], verified[some] / everybody[some], weights=everybody[some])
    if found is None:
        return None
    weights = 1 + np.exp(-(cells.design @ found.coefficients))
    return np.asarray(weights[cells.of_verified], dtype=np.float64)


def _capped(weights: Array, drawn: Array, cap: float) -> Array:
    return np.minimum(weights, cap * float(np.average(weights, weights=drawn)))


def _figures(verified: Verified, weights: Array) -> dict[str, float]:
    low = verified.osteoporosis
    return {
        "auc": weighted_auc(-verified.bmd_cnn, low, weights),
        "sensitivity": _weighted_share(verified.likely[low], weights[low]),
        "specificity": _weighted_share(~verified.likely[~low], weights[~low]),
        "prevalence": _weighted_share(low, weights),
    }


def _weighted_share(holds: Flags, weights: Array) -> float:
    total = float(weights.sum())
    return float(weights[holds].sum()) / total if total > 0 else math.nan


def _bootstrap(verified: Verified, cells: _Cells, cap: float) -> dict[str, tuple[float, float]]:
    """Draw patients anew, with and without a DXA, and estimate the chance of a DXA each time."""
    random = np.random.default_rng(RESAMPLING_SEED)
    found = []
    for _ in range(RESAMPLES):
        drawn = random.poisson(1.0, len(verified.bmd_cnn)).astype(np.float64)
        weights = _weights(cells, drawn, random.poisson(cells.unverified).astype(np.float64))
        if weights is not None and drawn.any():
            found.append(_figures(verified, drawn * _capped(weights, drawn, cap)))
    return {
        name: percentile_bounds(np.array([one[name] for one in found]))
        for name in ("auc", "sensitivity", "specificity", "prevalence")
    }
