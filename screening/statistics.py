"""Arrays of paired figures -> a figure with its 95 % confidence interval and the number it rests on.

A figure that the data cannot give (too few, all of one value, one class alone) has no value and a note that says why.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE: Final = 0.95
NORMAL: Final = float(stats.norm.ppf(0.5 + CONFIDENCE / 2))  # standard errors to the bounds of a normal figure

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the bounds of its 95 % confidence interval; None where there is none, and then a note."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a figure."""
        return self.value is not None


def undefined(n: int, note: str) -> Estimate:
    """Say why there is no figure."""
    return Estimate(None, None, None, n, note)


def pearson(x: Array, y: Array) -> Estimate:
    """Pearson's r with Fisher's interval."""
    if _flat(x, y, least=4):
        return undefined(len(x), "r needs 4 pairs that are not all alike")
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))
    return _fisher(r, 1 / math.sqrt(len(x) - 3), len(x))


def concordance(x: Array, y: Array) -> Estimate:
    """Lin's concordance correlation, Fisher's scale (Lin, Biometrics 1989;45:255, corrected 2000;56:324)."""
    if _flat(x, y, least=4):
        return undefined(len(x), "the concordance correlation needs 4 pairs that are not all alike")
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))
    variance = 2 * float(np.mean((x - x.mean()) * (y - y.mean())))
    ccc = variance / float(x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    if r == 0 or abs(ccc) >= 1:
        return Estimate(ccc, None, None, len(x), "no interval: perfect agreement or none")
    shift = float((x.mean() - y.mean()) ** 2 / (x.std() * y.std()))  # u squared of Lin's paper
    terms = (1 - r**2) * ccc**2 / ((1 - ccc**2) * r**2)
    terms += 2 * ccc**3 * (1 - ccc) * shift / (r * (1 - ccc**2) ** 2)
    terms -= ccc**4 * shift**2 / (2 * r**2 * (1 - ccc**2) ** 2)
    return _fisher(ccc, math.sqrt(max(terms, 0.0) / (len(x) - 2)), len(x))


def _fisher(value: float, standard_error: float, n: int) -> Estimate:
    if abs(value) >= 1:
        return Estimate(value, None, None, n, "no interval: all pairs lie on a line")
    centre = math.atanh(value)
    return Estimate(value, math.tanh(centre - NORMAL * standard_error), math.tanh(centre + NORMAL * standard_error), n)


def mean(values: Array) -> Estimate:
    """Mean with Student's interval."""
    if len(values) < 2:
        return undefined(len(values), "a mean with its interval needs 2 values")
    centre = float(values.mean())
    margin = student(len(values) - 1) * float(stats.sem(values))
    return Estimate(centre, centre - margin, centre + margin, len(values))


def root_mean_square(errors: Array) -> Estimate:
    """Root mean square with the roots of Student's bounds of the mean square."""
    square = mean(errors**2)
    if square.value is None or square.low is None or square.high is None:
        return square
    return Estimate(math.sqrt(square.value), math.sqrt(max(square.low, 0.0)), math.sqrt(square.high), len(errors))


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Bias and the limits within which 95 % of the differences lie."""

    bias: Estimate
    lower_limit: Estimate
    upper_limit: Estimate


def bland_altman(differences: Array) -> BlandAltman:
    """Bias -/+ 1.96 SD, each with Student's interval (Bland & Altman, Stat Methods Med Res 1999;8:135)."""
    n = len(differences)
    if n < 3:
        nothing = undefined(n, "limits of agreement need 3 pairs")
        return BlandAltman(nothing, nothing, nothing)
    bias, sd = mean(differences), float(differences.std(ddof=1))
    margin = student(n - 1) * sd * math.sqrt(1 / n + NORMAL**2 / (2 * (n - 1)))
    limits = [float(differences.mean()) + sign * NORMAL * sd for sign in (-1, 1)]
    lower, upper = (Estimate(limit, limit - margin, limit + margin, n) for limit in limits)
    return BlandAltman(bias, lower, upper)


def share(holds: Flags) -> Estimate:
    """Share of true values with Wilson's interval."""
    n = len(holds)
    if n == 0:
        return undefined(0, "nobody to count")
    interval = stats.binomtest(int(holds.sum()), n).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(float(holds.mean()), float(interval.low), float(interval.high), n)


@dataclass(frozen=True, slots=True)
class Line:
    """Straight line of the reference on the prediction: 0 and 1 where the prediction is calibrated."""

    intercept: Estimate
    slope: Estimate


def calibration_line(predicted: Array, reference: Array) -> Line:
    """Least squares of the reference on the prediction, with Student's intervals."""
    n = len(predicted)
    if _flat(predicted, least=3):
        nothing = undefined(n, "a line needs 3 predictions that are not all alike")
        return Line(nothing, nothing)
    found = stats.linregress(predicted, reference)
    t = student(n - 2)
    return Line(
        around(float(found.intercept), t * float(found.intercept_stderr), n),
        around(float(found.slope), t * float(found.stderr), n),
    )


RESAMPLES: Final = 1000
RESAMPLING_SEED: Final = 0


def paired_bootstrap(difference: Callable[[NDArray[np.int64]], float], n: int) -> Estimate:
    """Difference of two readers with the percentile interval over resampled patients, always the same resamples.

    Args:
        difference: from the places of the patients taken to the difference.
        n: how many patients there are.
    """
    if n < 2:
        return undefined(n, "a difference with its interval needs 2 pairs")
    random = np.random.default_rng(RESAMPLING_SEED)
    found = np.array([difference(random.integers(n, size=n)) for _ in range(RESAMPLES)])
    low, high = percentile_bounds(found)
    return Estimate(difference(np.arange(n)), low, high, n)


def percentile_bounds(resampled: Array) -> tuple[float, float]:
    """Bounds that leave out 2.5 % of the resampled figures on either side; undefined ones do not count."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(resampled[np.isfinite(resampled)], [tail, 100 - tail])
    return float(low), float(high)


def _flat(*columns: Array, least: int) -> bool:
    return len(columns[0]) < least or any(np.ptp(column) == 0 for column in columns)


def student(degrees: int) -> float:
    """Half width of a 95 % interval in standard errors, at so many degrees of freedom."""
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, degrees))


def around(value: float, margin: float, n: int) -> Estimate:
    """Estimate with a symmetric interval."""
    return Estimate(value, value - margin, value + margin, n)
