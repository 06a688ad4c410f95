"""Pairs of BMD_CNN and DXA -> what pictures of their agreement are drawn from.

Curves rest on every pair that the figures rest on; only the points of a cloud are a sample, the same each time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from screening.pairing import Pairs
from screening.roc import auc
from screening.statistics import Array, Estimate, Flags, pearson, share

# A cloud of more points is no clearer, and each is a mark that the browser must draw.
MOST_POINTS: Final = 2000
MOST_STEPS: Final = 500  # of a ROC curve; its picture is narrower in pixels
SAMPLE_SEED: Final = 0
TENTHS: Final = 10
COVERED: Final = 0.90  # what the interval of BMD_CNN promises


@dataclass(frozen=True, slots=True)
class PairCounts:
    """How many pairs there are, and what of them, as in table validation_run."""

    pair_count: int
    bmd_count: int
    label_count: int
    osteoporosis_count: int


@dataclass(frozen=True, slots=True)
class AgreementCurves:
    """What the pictures of one set of pairs are drawn from; nothing here tells who a patient is."""

    counts: PairCounts
    pearson_r: Estimate
    auc: Estimate
    points: pd.DataFrame  # bmd_cnn, bmd_dxa, mean, difference (BMD_CNN - DXA), g/cm2; MOST_POINTS at most
    roc: pd.DataFrame  # false_positive, sensitivity: shares, from (0, 0) to (1, 1)
    reliability: pd.DataFrame  # rows of `shares`: stated probability -> share with osteoporosis by DXA
    coverage: pd.DataFrame  # rows of `shares`: BMD_CNN, g/cm2 -> share of DXA within the 90 % interval


def agreement_curves(pairs: Pairs, smallest_group: int) -> AgreementCurves:
    """Draw up all pictures; a point of a share that would rest on fewer patients than a group needs is left out."""
    measured, told = ~np.isnan(pairs.bmd_dxa), ~np.isnan(pairs.osteoporosis)
    read, reference = pairs.bmd_cnn[measured], pairs.bmd_dxa[measured]
    low = pairs.osteoporosis[told] == 1
    covered = (pairs.bmd_low[measured] <= reference) & (reference <= pairs.bmd_high[measured])
    return AgreementCurves(
        counts=PairCounts(len(pairs), int(measured.sum()), int(told.sum()), int(low.sum())),
        pearson_r=pearson(read, reference),
        auc=auc(-pairs.bmd_cnn[told], low),
        points=cloud(read, reference),
        roc=roc_curve(-pairs.bmd_cnn[told], low),
        reliability=shares(pairs.probability[told], low, _equal_widths(pairs.probability[told]), smallest_group),
        coverage=shares(read, covered, _equal_counts(read, smallest_group), smallest_group),
    )


def cloud(bmd_cnn: Array, bmd_dxa: Array) -> pd.DataFrame:
    """Take the points to draw of all pairs (n,), g/cm2."""
    taken = sample(len(bmd_cnn), MOST_POINTS)
    read, reference = bmd_cnn[taken], bmd_dxa[taken]
    return pd.DataFrame(
        {"bmd_cnn": read, "bmd_dxa": reference, "mean": (read + reference) / 2, "difference": read - reference}
    )


def sample(n: int, most: int) -> NDArray[np.int64]:
    """Choose places of n, all of them where they are few enough; the same ones each time."""
    if n <= most:
        return np.arange(n, dtype=np.int64)
    return np.sort(np.random.default_rng(SAMPLE_SEED).choice(n, most, replace=False)).astype(np.int64)


def roc_curve(score: Array, holds: Flags, most_steps: int = MOST_STEPS) -> pd.DataFrame:
    """Empirical ROC curve of a score (n,) that is high where it holds; empty where one class is missing."""
    positives, negatives = int(holds.sum()), int((~holds).sum())
    if min(positives, negatives) == 0:
        return pd.DataFrame({"false_positive": np.zeros(0), "sensitivity": np.zeros(0)})
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    sensitivity = np.append(0.0, np.cumsum(holds[order])[last_of_tie] / positives)
    false_positive = np.append(0.0, np.cumsum(~holds[order])[last_of_tie] / negatives)
    kept = _evenly_along(sensitivity + false_positive, most_steps)
    return pd.DataFrame({"false_positive": false_positive[kept], "sensitivity": sensitivity[kept]})


def shares(place: Array, holds: Flags, group: NDArray[np.int64], smallest_group: int) -> pd.DataFrame:
    """Share that holds in each group of patients (n,), with its interval.

    Returns:
        One row a group that is large enough: mean of `place`, share, low, high and n.
    """
    return pd.DataFrame(
        _share_rows(place, holds, group, smallest_group), columns=["place", "share", "low", "high", "n"]
    ).astype({"n": np.int64})


def _share_rows(
    place: Array, holds: Flags, group: NDArray[np.int64], smallest_group: int
) -> Iterator[tuple[float, float | None, float | None, float | None, int]]:
    for number in np.unique(group):
        members = group == number
        if members.sum() >= smallest_group:
            found = share(holds[members])
            yield float(place[members].mean()), found.value, found.low, found.high, found.n


def _equal_widths(probability: Array) -> NDArray[np.int64]:
    """Number the tenth from 0 to 1 that each probability lies in."""
    return np.minimum(np.floor(probability * TENTHS), TENTHS - 1).astype(np.int64)


def _equal_counts(values: Array, smallest_group: int) -> NDArray[np.int64]:
    """Number groups of equally many patients by rising value; ten, or as many as are large enough."""
    groups = max(min(TENTHS, len(values) // max(smallest_group, 1)), 1)
    rank = np.empty(len(values), dtype=np.int64)
    rank[np.argsort(values, kind="stable")] = np.arange(len(values))
    return rank * groups // max(len(values), 1)


def _evenly_along(way: Array, most: int) -> NDArray[np.int64]:
    """Choose places at even distances along a rising way (n,), both ends among them."""
    if len(way) <= most:
        return np.arange(len(way), dtype=np.int64)
    return np.unique(np.searchsorted(way, np.linspace(way[0], way[-1], most)))
