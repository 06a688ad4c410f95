"""One comparison with DXA -> JSON and Markdown, each with the notice and what the checkpoint was trained on."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from screening.labels import NOTICE
from screening.statistics import Estimate
from screening.validation import PAPER, PAPER_SOURCE, Figure

METRIC_WORDS: Final = {
    "pearson_r": "Pearson r",
    "lin_ccc": "Lin's concordance correlation",
    "mae_g_cm2": "mean absolute error, g/cm²",
    "rmse_g_cm2": "root mean square error, g/cm²",
    "bias_g_cm2": "bias, g/cm²",
    "lower_limit_g_cm2": "lower limit of agreement, g/cm²",
    "upper_limit_g_cm2": "upper limit of agreement, g/cm²",
    "calibration_slope": "calibration slope (DXA on BMD_CNN)",
    "calibration_intercept_g_cm2": "calibration intercept, g/cm²",
    "coverage_90": "DXA within the 90 % interval",
    "auc": "AUC for osteoporosis",
    "prevalence": "osteoporosis by DXA (T ≤ −2.5)",
    "sensitivity": "sensitivity of the flag",
    "specificity": "specificity of the flag",
    "ppv": "positive predictive value",
    "npv": "negative predictive value",
    "brier": "Brier score of the probability",
    "probability_slope": "calibration slope of the probability (logit)",
    "probability_in_the_large": "calibration in the large (logit)",
    "largest_weight": "patients that one pair stands for at most, of the average",
    "capped_share": "share of pairs whose weight was capped",
    "verified_fraction": "measured patients with a DXA that tells osteoporosis",
}
READER_WORDS: Final = {
    "bmd_cnn": "BMD_CNN",
    "hu_regression": "trabecular HU, straight line, cross-fitted",
    "difference": "BMD_CNN less trabecular HU",
    "weighted": "BMD_CNN, weighted to all who were scanned",
}


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What one comparison found, with what it rests on."""

    run_id: int
    validated_at: datetime  # UTC
    software_version: str
    checkpoint: str
    checkpoint_sha256: str
    data_kind: str
    trained_on: str  # in words, recalibration included
    window_days: int
    scale: str | None
    measured_count: int
    pair_count: int
    bmd_count: int
    label_count: int
    osteoporosis_count: int
    seen_count: int  # pairs that the checkpoint was recalibrated to
    left_out: Mapping[str, int]
    settings: Mapping[str, Any]
    figures: Sequence[Figure]

    @property
    def labels(self) -> tuple[str, ...]:
        """What must stand beside the figures."""
        return (NOTICE, f"BMD_CNN is trained on {self.trained_on}.")

    def of(self, dimension: str) -> list[Figure]:
        """Figures of one dimension."""
        return [figure for figure in self.figures if figure.dimension == dimension]

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What patients have in common, in the order of the figures."""
        return tuple(dict.fromkeys(figure.dimension for figure in self.figures))


def paper_lines(report: ValidationReport) -> Iterator[tuple[str, str, str, str]]:
    """Yield a metric, and its figure here and in the paper's two sets of patients."""
    ours = {figure.metric: figure for figure in report.of("overall") if figure.reader == "bmd_cnn"}
    for metric in ("pearson_r", "auc"):
        theirs = [f"{getattr(paper, metric):.3f} (n = {paper.n})" for paper in PAPER]
        yield METRIC_WORDS[metric], shown(ours[metric].estimate), theirs[0], theirs[1]


def shown(estimate: Estimate) -> str:
    """Write a figure with its interval and n, or why there is none."""
    if estimate.value is None:
        return f"{estimate.note} (n = {estimate.n})"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f} (n = {estimate.n}; {estimate.note})"
    bounds = f"{estimate.low:.3f} to {estimate.high:.3f}"
    return f"{estimate.value:.3f} ({bounds}; n = {estimate.n})"


def facts(report: ValidationReport) -> Iterator[tuple[str, str]]:
    """Yield what the comparison rests on, in words."""
    yield "checkpoint", f"{report.checkpoint} ({report.checkpoint_sha256[:12]}), trained on {report.trained_on}"
    yield (
        "compared",
        f"{report.validated_at:%Y-%m-%d %H:%M} UTC, run {report.run_id}, version {report.software_version}",
    )
    yield "patients with a measured CT", str(report.measured_count)
    yield f"with a DXA of L1-L4 within {report.window_days} days", str(report.pair_count)
    yield f"with a BMD on the scale of {report.scale or 'BMD_CNN, which is not known'}", str(report.bmd_count)
    yield "with osteoporosis told, of them present", f"{report.label_count}, {report.osteoporosis_count}"
    if report.seen_count:
        yield "that this checkpoint was recalibrated to, which flatters it", str(report.seen_count)
    for reason, count in report.left_out.items():
        yield f"left out: {reason}", str(count)


def to_json(report: ValidationReport) -> str:
    """Write everything; a figure that cannot be had is null, with its note."""
    document = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    document |= {
        "validated_at": report.validated_at.isoformat(timespec="seconds") + "Z",
        "notice": list(report.labels),
        "figures": [_figure_document(figure) for figure in report.figures],
        "paper": {
            "source": f"{PAPER_SOURCE}, doi 10.1007/s00330-020-06677-0",
            "results": [dataclasses.asdict(paper) for paper in PAPER],
        },
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _figure_document(figure: Figure) -> dict[str, Any]:
    names = {"reader": figure.reader, "dimension": figure.dimension, "subgroup": figure.subgroup}
    return {**names, "metric": figure.metric, **dataclasses.asdict(figure.estimate)}


def to_markdown(report: ValidationReport) -> str:
    """Write the report for people."""
    lines = ["# BMD_CNN against DXA", "", *(f"> {label}" for label in report.labels), ""]
    lines += _table(("what", "how many"), facts(report))
    lines += ["## Beside the paper", "", f"Intervals are 95 %. {PAPER_SOURCE}.", ""]
    lines += _table(("figure", "here", "paper, internal", "paper, external"), paper_lines(report))
    lines += ["## Overall", ""]
    overall = ((READER_WORDS[f.reader], METRIC_WORDS[f.metric], shown(f.estimate)) for f in report.of("overall"))
    lines += _table(("reader", "figure", "value (95 % interval; n)"), overall)
    for dimension in report.dimensions:
        if dimension != "overall":
            lines += [f"## By {dimension.replace('_', ' ')}", ""]
            rows = ((f.subgroup, METRIC_WORDS[f.metric], shown(f.estimate)) for f in report.of(dimension))
            lines += _table(("group", "figure", "value (95 % interval; n)"), rows)
    return "\n".join(lines)


def _table(header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return [*lines, ""]
