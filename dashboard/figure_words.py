"""Figures of validation and drift -> the words, units and numbers that readers see."""

from dataclasses import dataclass
from typing import Final

from dashboard import wording
from screening.statistics import Estimate
from screening.validation_report import METRIC_WORDS

DIMENSIONS: Final = {
    "sex": "Sex",
    "age": "Age at the CT",
    "manufacturer": "CT manufacturer",
    "scanner": "CT scanner",
    "kvp": "Tube voltage",
    "kernel": "Kernel",
    "slice_thickness": "Slice thickness",
    "dxa_manufacturer": "DXA manufacturer",
    "level_certainty": "Names of the levels",
    "contrast": "Contrast",
    "ct_month": "Month of the CT",
}

# Metrics that are shares of patients, written in per cent.
SHARES: Final = frozenset(
    {"coverage_90", "prevalence", "sensitivity", "specificity", "ppv", "npv", "verified_fraction", "capped_share"}
)
# Differences, whose direction a reader must see.
SIGNED: Final = frozenset({"bias_g_cm2", "lower_limit_g_cm2", "upper_limit_g_cm2"})
_UNIT: Final = ", g/cm²"  # at the end of words of METRIC_WORDS

STATES: Final = {
    "alert": "Alert",
    "stable": "Stable",
    "baseline": "Being learned",
    "too_few": "Too few studies",
}


@dataclass(frozen=True, slots=True)
class DriftMetric:
    """What a metric of table drift_metric is called, and how its values are written."""

    name: str
    unit: str
    decimals: int
    factor: float = 1.0  # from the stored value to the unit

    @property
    def is_share(self) -> bool:
        """Whether it is a share of studies, not a mean."""
        return self.unit == "%"

    def value(self, stored: float) -> str:
        """Write a value with its unit."""
        return f"{self._number(stored, '')} {self.unit}"

    def shift(self, stored: float, sign: str = "") -> str:
        """Write how far apart two values are, with its unit."""
        return f"{self._number(stored, sign)} {'percentage points' if self.is_share else self.unit}"

    def _number(self, stored: float, sign: str) -> str:
        return wording.number(stored * self.factor, f"{sign}.{self.decimals}f")


_MEANS: Final = {
    "air_hu": DriftMetric("air", "HU", 1),
    "fat_hu": DriftMetric("fat", "HU", 1),
    "muscle_hu": DriftMetric("muscle", "HU", 1),
    "soft_tissue_hu": DriftMetric("fat and muscle together", "HU", 1),
    "l1_hu": DriftMetric("trabecular bone of L1", "HU", 1),
    "bmd_cnn": DriftMetric("BMD_CNN", "g/cm²", 3),
}


def drift_metric(metric: str) -> DriftMetric:
    """Name a metric of table drift_metric; all but the means are shares of studies."""
    if metric in _MEANS:
        return _MEANS[metric]
    kind, _, why = metric.partition(": ")
    names = {
        "flag_rate": "share of measured studies with likely osteoporosis",
        "failed": "share of studies that failed",
        "excluded": f"share of studies excluded: {wording.reason(why).lower()}",
    }
    return DriftMetric(names.get(kind, wording.plain(metric)), "%", 1, 100.0)


def metric(name: str) -> str:
    """Name a figure of validation."""
    word = METRIC_WORDS.get(name, wording.plain(name))
    return word[:1].upper() + word[1:]


def value(name: str, stored: float | None) -> str:
    """Write a figure of validation without its interval: shares in per cent, else three decimals."""
    if stored is None:
        return wording.MISSING
    if name in SHARES:
        return f"{wording.number(100 * stored, '.1f')} %"
    return wording.number(stored, "+.3f" if name in SIGNED else ".3f")


def interval(name: str, estimate: Estimate) -> str:
    """Write the 95 % confidence interval, or why there is none."""
    if estimate.low is None or estimate.high is None:
        return estimate.note or wording.MISSING
    return f"{value(name, estimate.low)} to {value(name, estimate.high)}"


def patients(count: int) -> str:
    """Write how many patients a figure rests on."""
    return f"n = {count:,}"


def figure(name: str, estimate: Estimate) -> str:
    """Write a figure with its 95 % confidence interval and n, for tables whose title says so."""
    known = f"{value(name, estimate.value)} ({interval(name, estimate)}; {patients(estimate.n)})"
    return known if estimate.known else f"{estimate.note} ({patients(estimate.n)})"


def sentence(name: str, estimate: Estimate) -> str:
    """Write a figure with its name and unit, its interval and n."""
    words = METRIC_WORDS.get(name, wording.plain(name))
    if not estimate.known:
        return f"{words.removesuffix(_UNIT)}: {estimate.note} ({patients(estimate.n)})"
    unit = " g/cm²" if words.endswith(_UNIT) else ""
    bounds = f"95 % CI {interval(name, estimate)}; {patients(estimate.n)}"
    return f"{words.removesuffix(_UNIT)} {value(name, estimate.value)}{unit} ({bounds})"


def axis(name: str) -> tuple[str, float]:
    """Title the axis of a figure with its unit, and tell the factor from what is stored to that unit."""
    return (f"{metric(name)} (%)", 100.0) if name in SHARES else (metric(name), 1.0)


def deviate(z: float) -> str:
    """Write a shift in standard errors."""
    return wording.number(z, "+.1f")


def drift_shift(metric: str | None, shift: float | None, z: float | None) -> str | None:
    """Write a shift with what shifted; None where nothing could be judged."""
    if metric is None or shift is None or z is None:
        return None
    words = drift_metric(metric)
    return f"{words.shift(shift, '+')} (z = {deviate(z)}): {words.name}"


def drift_title(metric: str) -> str:
    """Name a metric of drift with its unit, for lists and axes."""
    words = drift_metric(metric)
    return f"{words.name[:1].upper()}{words.name[1:]} ({words.unit})"
