"""A site's pairs of BMD_CNN and DXA -> a monotone recalibration, and what it is worth on pairs it has not seen.

Every figure is of patients whom neither the fit nor the choice of its kind has seen (nested cross-validation).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from screening.comparison import SHOWN
from screening.errors import UserError
from screening.prediction.knots import IDENTITY, Knots, through
from screening.statistics import Array, Estimate, share
from screening.validation import folds, reader_against_dxa

# A line fitted to 50 pairs whose DXA scatters by 0.08 g/cm2 is known within 0.02 g/cm2; fewer leave it to chance.
FEWEST_PAIRS: Final = 50
OUTER_FOLDS, INNER_FOLDS = 10, 5
SEED: Final = 0
KINDS: Final = ("none", "linear", "isotonic")
# A knot is the mean of so many pairs at least, and no more than 20 knots stand on all.
_FEWEST_PER_KNOT: Final = 10
_MOST_KNOTS: Final = 20
_BEYOND_G_CM2: Final = 1.0  # how far the last knots stand beyond the pairs; further on the line goes straight
COVERAGE: Final = 0.90


@dataclass(frozen=True, slots=True)
class Recalibration:
    """What was fitted, and what it is worth."""

    kind: str
    knots: Knots  # BMD before and after, g/cm2; straight between and beyond
    left_out: Array  # (n,) each pair's BMD by fits that have not seen it, g/cm2
    interval_half_width_g_cm2: float  # of the 90 % prediction interval
    before: Mapping[str, Estimate]
    after: Mapping[str, Estimate]  # of left_out
    chosen: Mapping[str, int]  # kind -> outer folds that chose it

    @property
    def metrics(self) -> dict[str, float]:
        """What the checkpoint says of itself: cross-validated figures, and those of its parent on the same pairs."""
        named = {name: estimate.value for name, estimate in self.after.items()}
        named |= {f"{name}_before": estimate.value for name, estimate in self.before.items()}
        known = {name: round(value, 5) for name, value in named.items() if value is not None}
        return {"n_patients": float(len(self.left_out)), **known}


def recalibrate(bmd_cnn: Array, bmd_dxa: Array, osteoporosis: Array, kind: str = "auto") -> Recalibration:
    """Fit a recalibration and cross-validate it.

    Args:
        bmd_cnn: (n,) as read, g/cm2.
        bmd_dxa: (n,) on the scale to be read on, g/cm2.
        osteoporosis: (n,) by DXA: 1, 0, or NaN where it does not tell.
        kind: linear, isotonic, or auto: whichever of them or none errs least within each fold.

    Raises:
        UserError: fewer than 50 pairs, or BMD that does not rise with DXA.
    """
    if len(bmd_cnn) < FEWEST_PAIRS:
        raise UserError(
            f"A recalibration needs {FEWEST_PAIRS} pairs of CT and DXA on one scale, found {len(bmd_cnn)}: "
            "import more DXA."
        )
    kinds = KINDS if kind == "auto" else (kind,)
    fold = folds(len(bmd_cnn), OUTER_FOLDS, SEED)
    left_out, chosen = np.empty(len(bmd_cnn)), Counter[str]()
    for number in range(OUTER_FOLDS):
        own, others = fold == number, fold != number
        best = _least_error(bmd_cnn[others], bmd_dxa[others], kinds)
        chosen[best] += 1
        left_out[own] = through(fitted(bmd_cnn[others], bmd_dxa[others], best), bmd_cnn[own])
    error = np.abs(left_out - bmd_dxa)
    best = _least_error(bmd_cnn, bmd_dxa, kinds)
    covered = {"coverage_90": share(_covered(error, fold))}
    return Recalibration(
        kind=best,
        knots=fitted(bmd_cnn, bmd_dxa, best),
        left_out=left_out,
        interval_half_width_g_cm2=conformal_half_width(error),
        before=_figures(bmd_cnn, bmd_dxa, osteoporosis),
        after=_figures(left_out, bmd_dxa, osteoporosis) | covered,
        chosen=dict(chosen),
    )


def _least_error(bmd_cnn: Array, bmd_dxa: Array, kinds: Sequence[str]) -> str:
    """Choose by the root mean square error in folds within; a simpler kind stays unless another errs less."""
    if len(kinds) == 1:
        return kinds[0]
    fold = folds(len(bmd_cnn), INNER_FOLDS, SEED + 1)
    squares = dict.fromkeys(kinds, 0.0)
    for number in range(INNER_FOLDS):
        own, others = fold == number, fold != number
        for kind in kinds:
            read = through(fitted(bmd_cnn[others], bmd_dxa[others], kind), bmd_cnn[own])
            squares[kind] += float(((read - bmd_dxa[own]) ** 2).sum())
    return min(kinds, key=lambda kind: squares[kind])


def fitted(bmd_cnn: Array, bmd_dxa: Array, kind: str) -> Knots:
    """Fit the DXA on BMD_CNN.

    Raises:
        UserError: BMD_CNN does not rise with DXA.
    """
    if kind == "none":
        return IDENTITY
    slope, offset = (float(value) for value in np.polyfit(bmd_cnn, bmd_dxa, 1))
    if not slope > 0:
        raise UserError("BMD_CNN does not rise with the DXA of these pairs: check that both are of the same patients.")
    if kind == "linear":
        return ((0.0, offset), (1.0, offset + slope))
    return _isotonic(bmd_cnn, bmd_dxa, slope)


def _isotonic(bmd_cnn: Array, bmd_dxa: Array, slope: float) -> Knots:
    """Knots at the means of pooled adjacent violators, joined until each stands on enough pairs."""
    order = np.argsort(bmd_cnn, kind="stable")
    found = optimize.isotonic_regression(bmd_dxa[order])
    fewest = max(_FEWEST_PER_KNOT, len(order) // _MOST_KNOTS)
    edges = _joined([int(edge) for edge in found.blocks], fewest)
    parts = [order[low:high] for low, high in zip(edges[:-1], edges[1:], strict=True)]
    knots = [(float(bmd_cnn[part].mean()), float(bmd_dxa[part].mean())) for part in parts]
    first, last = knots[0], knots[-1]
    below = (first[0] - _BEYOND_G_CM2, first[1] - slope * _BEYOND_G_CM2)
    return (below, *knots, (last[0] + _BEYOND_G_CM2, last[1] + slope * _BEYOND_G_CM2))


def _joined(edges: Sequence[int], fewest: int) -> list[int]:
    """Drop edges between blocks until each holds enough pairs."""
    kept = [edges[0]]
    for edge in edges[1:-1]:
        if edge - kept[-1] >= fewest and edges[-1] - edge >= fewest:
            kept.append(edge)
    return [*kept, edges[-1]]


def conformal_half_width(error: Array) -> float:
    """Bound of 90 % of the cross-validated errors; they are of several fits, so coverage is checked, not proven."""
    rank = int(np.ceil(COVERAGE * (len(error) + 1)))
    return float(np.sort(error)[min(rank, len(error)) - 1])


def _covered(error: Array, fold: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each pair lies in the interval that the other folds tell."""
    widths = np.array([conformal_half_width(error[fold != number]) for number in range(OUTER_FOLDS)])
    return error <= widths[fold]


def _figures(read: Array, bmd_dxa: Array, osteoporosis: Array) -> dict[str, Estimate]:
    found = reader_against_dxa(read, bmd_dxa, osteoporosis)
    return {name: found[name] for name in SHOWN}
