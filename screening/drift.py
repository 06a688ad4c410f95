"""Monthly means and shares of every scanner -> which of them reads otherwise than it did at first.

Each scanner is its own control: its first months are the baseline that every later month is held against, alone and
together with the two before it. An alert needs both: a shift larger than chance, variation from month to month and the
number of scanners and metrics looked at included, and one large enough to matter. An alert month never enters a
baseline.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pandas as pd
from scipy import stats

from screening.statistics import Array, Flags
from screening.validation_settings import DriftSettings

POOLED_MONTHS: Final = (1, 3)
_LARGEST_Z: Final = 37.0  # beyond it a probability is 0 in double precision
_LEAST_ERROR: Final = 1e-6  # where all studies read the same, as clamped air does, any shift is larger than chance


@dataclass(frozen=True, slots=True)
class _Series:
    """Metrics of scanners (s,) over months (m,): count, mean and SD are (m, s), the count 0 where there is no study."""

    months: list[date]
    scanner: list[str]
    metric: list[str]
    is_share: Flags  # (s,)
    count: Array
    mean: Array
    sd: Array


@dataclass(frozen=True, slots=True)
class _Sums:
    """Months taken together (s,)."""

    months: Array
    count: Array
    mean: Array
    variance: Array  # within months

    @classmethod
    def of(cls, series: _Series, taken: Flags) -> "_Sums":
        """Take the months (m, s) that are marked."""
        count = np.where(taken, series.count, 0.0)
        total = count.sum(axis=0)
        mean = _divided((count * series.mean).sum(axis=0), total)
        degrees = np.where(taken, series.count - 1, 0.0)
        within = _divided((degrees * series.sd**2).sum(axis=0), degrees.sum(axis=0))
        share = mean * (1 - mean)
        return cls(taken.sum(axis=0).astype(np.float64), total, mean, np.where(series.is_share, share, within))


@dataclass(frozen=True, slots=True)
class _Shift:
    """How far the newest months are from the baseline (s,)."""

    months: Array
    shift: Array
    z: Array


def judged(means: pd.DataFrame, shares: pd.DataFrame, settings: DriftSettings) -> pd.DataFrame:
    """Judge every month of every scanner and metric.

    Args:
        means: month, scanner, metric, mean, sd, n.
        shares: month, scanner, metric, holds, n.
        settings: when a scanner raises an alert.

    Returns:
        One row a month, scanner and metric, with the columns of table drift_metric.
    """
    series = _series(_since_baseline(_together(means, shares), settings.baseline_from))
    enough = series.count >= settings.smallest_month
    baseline = np.zeros_like(enough)
    material = np.array([settings.material_shifts.get(metric, settings.material_share) for metric in series.metric])
    excess = _excess_variance(series, enough & (np.cumsum(enough, axis=0) <= settings.baseline_months))
    rows = []
    for number in range(len(series.months)):
        known = _Sums.of(series, baseline)
        shift = _shift(series, known, baseline, enough, number, excess)
        testable = enough[number] & (known.months >= settings.least_baseline_months)
        tests = max(int(testable.sum()), 1) * len(POOLED_MONTHS)
        limit = float(stats.norm.isf(settings.false_alarms / 2 / tests))
        alert = testable & (np.abs(shift.z) > limit) & (np.abs(shift.shift) >= material)
        baseline[number] = enough[number] & ~alert & (known.months < settings.baseline_months)
        rows.append(_rows(series, number, known, shift, testable, alert, enough[number], limit, material))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=COLUMNS)


COLUMNS: Final = (
    "month", "scanner", "metric", "value", "n", "state", "baseline", "baseline_n", "shift", "z", "months", "z_limit",
    "material_shift",
)  # fmt: skip


def newest_alerts(found: pd.DataFrame, months: int) -> pd.DataFrame:
    """Keep the alerts of the newest months that there are."""
    newest = sorted(found["month"].unique())[-months:]
    return found[(found["state"] == "alert") & found["month"].isin(newest)]


def _together(means: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    share = shares["holds"] / shares["n"]
    as_means = shares.assign(mean=share, sd=np.sqrt(share * (1 - share)), is_share=True).drop(columns="holds")
    both = pd.concat([means.assign(is_share=False), as_means], ignore_index=True)
    return both.assign(month=pd.to_datetime(both["month"]))


def _since_baseline(rows: pd.DataFrame, baseline_from: Mapping[str, date]) -> pd.DataFrame:
    """Drop what lies before the month from which a scanner is to be learned anew."""
    starts = rows["scanner"].map({scanner: pd.Timestamp(day).replace(day=1) for scanner, day in baseline_from.items()})
    return rows[starts.isna() | (rows["month"] >= pd.to_datetime(starts))]


def _series(rows: pd.DataFrame) -> _Series:
    wide = rows.pivot(index="month", columns=["scanner", "metric", "is_share"], values=["n", "mean", "sd"]).sort_index()
    if wide.empty:
        nothing = np.zeros((0, 0))
        return _Series([], [], [], np.zeros(0, dtype=bool), nothing, nothing, nothing)
    columns = wide["n"].columns
    return _Series(
        months=[month.date() for month in wide.index],
        scanner=list(columns.get_level_values("scanner")),
        metric=list(columns.get_level_values("metric")),
        is_share=columns.get_level_values("is_share").to_numpy(dtype=bool),
        count=wide["n"].fillna(0.0).to_numpy(np.float64),
        mean=wide["mean"].fillna(0.0).to_numpy(np.float64),
        sd=wide["sd"].fillna(0.0).to_numpy(np.float64),
    )


def _excess_variance(series: _Series, first: Flags) -> Array:
    """Variance of a metric from month to month beyond that of patients (s,), by moments; the median over scanners."""
    sums = _Sums.of(series, first)
    count = np.where(first, series.count, 0.0)
    between = (count * (series.mean - sums.mean) ** 2).sum(axis=0) - (sums.months - 1) * sums.variance
    excess = _divided(between, sums.count - _divided((count**2).sum(axis=0), sums.count))
    usable = pd.Series(np.where(sums.months >= 3, excess, np.nan))
    return usable.groupby(series.metric).transform("median").fillna(0.0).clip(lower=0.0).to_numpy(np.float64)


def _shift(series: _Series, known: _Sums, baseline: Flags, enough: Flags, number: int, excess: Array) -> _Shift:
    """Hold the newest months against the baseline; of the spans of months the one that stands out most counts."""
    free = enough & ~baseline
    free[number + 1 :] = False
    found = [_shift_over(series, known, _newest(free, number, span), excess) for span in POOLED_MONTHS]
    best = np.argmax([np.abs(one.z) for one in found], axis=0)
    return _Shift(*(np.choose(best, [getattr(one, name) for one in found]) for name in ("months", "shift", "z")))


def _newest(free: Flags, number: int, span: int) -> Flags:
    """Mark the month and those right before it that are no part of the baseline."""
    taken = np.zeros_like(free)
    taken[max(number - span + 1, 0) : number + 1] = free[max(number - span + 1, 0) : number + 1]
    return taken


def _shift_over(series: _Series, known: _Sums, taken: Flags, excess: Array) -> _Shift:
    recent = _Sums.of(series, taken)
    shift = recent.mean - known.mean
    chance = _divided(1.0, recent.count) + _divided(1.0, known.count)
    between = excess * (_divided(1.0, recent.months) + _divided(1.0, known.months))
    degrees = np.maximum(recent.count + known.count - 2 * known.months.clip(min=1), 1)
    pooled = _divided(recent.count * recent.variance + known.count * known.variance, recent.count + known.count)
    error = np.sqrt(pooled * chance + between)
    of_means = _as_normal(shift / np.maximum(error, _LEAST_ERROR), degrees)
    of_shares = _exact(recent, known) * np.sqrt(_divided(pooled * chance, pooled * chance + between))
    z = np.where(series.is_share, of_shares, of_means)
    comparable = (recent.count > 0) & (known.count > 0)
    return _Shift(recent.months, np.where(comparable, shift, 0.0), np.where(comparable, z, 0.0))


def _as_normal(t: Array, degrees: Array) -> Array:
    """Turn Student's t into the normal deviate of the same probability."""
    return np.asarray(np.sign(t) * _deviate(stats.t.sf(np.abs(t), degrees)), dtype=np.float64)


def _exact(recent: _Sums, known: _Sums) -> Array:
    """Normal deviate of Fisher's exact test of two shares, by the tail of the hypergeometric distribution."""
    holds, before = np.rint(recent.count * recent.mean), np.rint(known.count * known.mean)
    arguments = (recent.count + known.count, holds + before, recent.count)
    above, below = stats.hypergeom.sf(holds - 1, *arguments), stats.hypergeom.cdf(holds, *arguments)
    return np.where(above < below, _deviate(above), -_deviate(below))


def _deviate(probability: Array | float) -> Array:
    return np.clip(np.asarray(stats.norm.isf(probability), dtype=np.float64), 0.0, _LARGEST_Z)


def _rows(
    series: _Series,
    number: int,
    known: _Sums,
    shift: _Shift,
    testable: Flags,
    alert: Flags,
    enough: Flags,
    limit: float,
    material: Array,
) -> pd.DataFrame:
    states = np.select([alert, testable, enough], ["alert", "stable", "baseline"], "too_few")
    frame = pd.DataFrame(
        {
            "month": series.months[number],
            "scanner": series.scanner,
            "metric": series.metric,
            "value": series.mean[number],
            "n": series.count[number].astype(np.int64),
            "state": states,
            "baseline": known.mean,
            "baseline_n": known.count,
            "shift": shift.shift,
            "z": shift.z,
            "months": shift.months,
            "z_limit": limit,
            "material_shift": material,
        }
    )
    judgement = ["baseline", "baseline_n", "shift", "z", "months", "z_limit", "material_shift"]
    frame.loc[~testable, judgement] = np.nan
    present: pd.DataFrame = frame[series.count[number] > 0]
    return present


def _divided(above: Array | float, below: Array) -> Array:
    """Divide; 0 where there is nothing to divide by."""
    safe = np.where(below > 0, below, 1.0)
    return np.asarray(np.where(below > 0, above / safe, 0.0), dtype=np.float64)
