"""Pairs of BMD_CNN and DXA -> how well they agree, beside a ruler and the paper, with 95 % confidence intervals."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from screening.logistic import probability_line
from screening.pairing import Pairs
from screening.roc import auc, auc_difference
from screening.statistics import (
    Array,
    Estimate,
    Flags,
    bland_altman,
    calibration_line,
    concordance,
    mean,
    pearson,
    root_mean_square,
    share,
    undefined,
)

FOLDS: Final = 5
FOLDING_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a comparison."""

    reader: str  # bmd_cnn, hu_regression, difference, weighted
    dimension: str
    subgroup: str
    metric: str
    estimate: Estimate


PAPER_SOURCE: Final = "Yasaka et al., Eur Radiol 2020;30:3549"


@dataclass(frozen=True, slots=True)
class PaperResult:
    """What the paper reports of one set of patients."""

    patients: str
    n: int
    pearson_r: float
    auc: float


PAPER: Final = (PaperResult("internal", 45, 0.852, 0.965), PaperResult("external", 50, 0.840, 0.970))


def figures(pairs: Pairs, smallest_group: int) -> Iterator[Figure]:
    """Yield every figure: overall, of the ruler and of the difference, then of BMD_CNN in every subgroup."""
    everybody = np.ones(len(pairs), dtype=bool)
    for metric, estimate in reader_figures(pairs, everybody).items():
        yield Figure("bmd_cnn", "overall", "all", metric, estimate)
    ruler = hu_regression(pairs.attenuation_hu120, pairs.bmd_dxa)
    for metric, estimate in reader_against_dxa(ruler, pairs.bmd_dxa, pairs.osteoporosis).items():
        yield Figure("hu_regression", "overall", "all", metric, estimate)
    for metric, estimate in difference_figures(pairs, ruler).items():
        yield Figure("difference", "overall", "all", metric, estimate)
    for dimension in pairs.groups.columns:
        for subgroup, members in _members(pairs, dimension):
            found = reader_figures(pairs, members, smallest_group)
            for metric, estimate in found.items():
                yield Figure("bmd_cnn", dimension, subgroup, metric, estimate)


def _members(pairs: Pairs, dimension: str) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield the subgroups in order with the places of their pairs."""
    column = pairs.groups[dimension].cat
    codes = column.codes.to_numpy()
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(len(column.categories) + 1))
    for number, name in enumerate(column.categories):
        yield str(name), order[edges[number] : edges[number + 1]]


def reader_figures(pairs: Pairs, members: Flags | NDArray[np.int64], smallest_group: int = 0) -> dict[str, Estimate]:
    """Compare BMD_CNN of some pairs with their DXA."""
    predicted, reference = pairs.bmd_cnn[members], pairs.bmd_dxa[members]
    measured = ~np.isnan(reference)
    covered = (pairs.bmd_low[members] <= reference) & (reference <= pairs.bmd_high[members])
    found = agreement(predicted[measured], reference[measured])
    found["coverage_90"] = share(covered[measured])
    found = _large_enough(found, int(measured.sum()), smallest_group)
    label = pairs.osteoporosis[members]
    told = ~np.isnan(label)
    by_label = discrimination(predicted[told], label[told] == 1)
    by_label |= operating_point(pairs.likely[members][told], label[told] == 1)
    by_label |= probability_figures(pairs.probability[members][told], label[told] == 1)
    return found | _large_enough(by_label, int(told.sum()), smallest_group)


def _large_enough(found: Mapping[str, Estimate], n: int, smallest: int) -> dict[str, Estimate]:
    """Say that a group is too small instead of its figures."""
    if n >= smallest:
        return dict(found)
    return {metric: undefined(n, f"fewer than {smallest} patients") for metric in found}


def agreement(predicted: Array, reference: Array) -> dict[str, Estimate]:
    """Compare areal BMD, g/cm2."""
    error = predicted - reference
    limits, line = bland_altman(error), calibration_line(predicted, reference)
    return {
        "pearson_r": pearson(predicted, reference),
        "lin_ccc": concordance(predicted, reference),
        "mae_g_cm2": mean(np.abs(error)),
        "rmse_g_cm2": root_mean_square(error),
        "bias_g_cm2": limits.bias,
        "lower_limit_g_cm2": limits.lower_limit,
        "upper_limit_g_cm2": limits.upper_limit,
        "calibration_slope": line.slope,
        "calibration_intercept_g_cm2": line.intercept,
    }


def reader_against_dxa(read: Array, bmd_dxa: Array, osteoporosis: Array) -> dict[str, Estimate]:
    """Agreement and AUC of one reader (n,) where it has read; each on the patients whose DXA can tell it, else NaN."""
    measured = ~np.isnan(read) & ~np.isnan(bmd_dxa)
    told = ~np.isnan(read) & ~np.isnan(osteoporosis)
    return agreement(read[measured], bmd_dxa[measured]) | {"auc": auc(-read[told], osteoporosis[told] == 1)}


def discrimination(bmd_g_cm2: Array, osteoporosis: Flags) -> dict[str, Estimate]:
    """Tell how well low BMD tells who has osteoporosis by DXA."""
    return {"auc": auc(-bmd_g_cm2, osteoporosis), "prevalence": share(osteoporosis)}


def operating_point(likely: Flags, osteoporosis: Flags) -> dict[str, Estimate]:
    """Count how the band that is flagged meets osteoporosis by DXA."""
    return {
        "sensitivity": share(likely[osteoporosis]),
        "specificity": share(~likely[~osteoporosis]),
        "ppv": share(osteoporosis[likely]),
        "npv": share(~osteoporosis[~likely]),
    }


def probability_figures(probability: Array, osteoporosis: Flags) -> dict[str, Estimate]:
    """Tell whether the stated probability of osteoporosis comes true."""
    line = probability_line(probability, osteoporosis)
    return {
        "brier": mean((probability - osteoporosis) ** 2),
        "probability_slope": line.slope,
        "probability_in_the_large": line.intercept,
    }


def hu_regression(attenuation_hu: Array, bmd_dxa: Array) -> Array:
    """Read BMD (n,) off a straight line through trabecular HU, fitted to the folds that the patient is not in."""
    known = np.flatnonzero(~np.isnan(attenuation_hu) & ~np.isnan(bmd_dxa))
    read = np.full(len(attenuation_hu), np.nan)
    if len(known) < 2 * FOLDS or np.ptp(attenuation_hu[known]) == 0:
        return read
    fold = np.full(len(read), -1)
    fold[known] = folds(len(known), FOLDS, FOLDING_SEED)
    for number in range(FOLDS):
        fitted = known[fold[known] != number]
        slope, offset = np.polyfit(attenuation_hu[fitted], bmd_dxa[fitted], 1)
        mine = fold == number
        read[mine] = offset + slope * attenuation_hu[mine]
    return read


def folds(n: int, count: int, seed: int) -> NDArray[np.int64]:
    """Deal n patients out to folds of nearly one size."""
    return np.asarray(np.random.default_rng(seed).permutation(n) % count, dtype=np.int64)


def difference_figures(pairs: Pairs, read: Array) -> dict[str, Estimate]:
    """Compare the two readers patient by patient: BMD_CNN minus ruler."""
    measured = ~np.isnan(read)
    told = measured & ~np.isnan(pairs.osteoporosis)
    own, rival = (np.abs(values - pairs.bmd_dxa)[measured] for values in (pairs.bmd_cnn, read))
    return {
        "mae_g_cm2": mean(own - rival),
        "auc": auc_difference(-pairs.bmd_cnn[told], -read[told], pairs.osteoporosis[told] == 1),
    }
