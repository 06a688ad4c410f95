"""The comparisons with DXA that were made: what each rests on, what it found, and the pairs behind it."""

import json
import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from dashboard import figure_words, queries
from screening.agreement_curves import AgreementCurves, PairCounts, agreement_curves
from screening.errors import UserError
from screening.prediction.tscore import REFERENCES, Reference
from screening.statistics import Estimate
from screening.store.models import models, trained_on
from screening.store.validation import read_pairs
from screening.validation import PAPER, Figure
from screening.validation_report import METRIC_WORDS, ValidationReport, facts
from screening.validation_settings import ValidationSettings

_FACTS = (
    "run_id", "validated_at", "software_version", "checkpoint", "checkpoint_sha256", "data_kind", "window_days",
    "scale", "measured_count", "pair_count", "bmd_count", "label_count", "osteoporosis_count", "seen_count",
)  # fmt: skip
NOT_STORED = Estimate(None, None, None, 0, "not stored by this comparison")
_KEPT_CURVES = 8  # some 100 kB each
_SAME = 1e-9  # relative; figures of the same pairs differ by rounding at most


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a comparison still speaks of what is published."""

    active: bool  # its checkpoint is the one whose results the views show
    active_checkpoint: str | None
    read_since: bool
    imported_since: bool

    @property
    def news(self) -> dict[str, bool]:
        """What may have come in since, and whether it has."""
        return {"CT results": self.read_since, "DXA": self.imported_since}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison with DXA as it is stored."""

    report: ValidationReport
    standing: Standing

    def estimate(self, metric: str, reader: str = "bmd_cnn") -> Estimate:
        """Return a figure over all patients; one that an earlier version did not store says so."""
        for figure in self.report.figures:
            if (figure.reader, figure.dimension, figure.metric) == (reader, "overall", metric):
                return figure.estimate
        return NOT_STORED

    @property
    def smallest_group(self) -> int:
        """Patients below which a group says so instead of a figure."""
        return int(self.report.settings["smallest_group"])


def runs(published: queries.Publication) -> pd.DataFrame:
    """List the comparisons, newest first."""
    return queries.answer(published, "validation_runs")


def comparison(published: queries.Publication, run_id: int) -> Comparison:
    """Read what one comparison rests on and found."""
    (run,) = queries.records(queries.answer(published, "validation_run", {"run_id": run_id}))
    found = queries.records(queries.answer(published, "validation_figures", {"run_id": run_id}))
    report = ValidationReport(
        **{name: run[name] for name in _FACTS},
        trained_on=_trained_on(published, run["checkpoint_sha256"], run["data_kind"]),
        left_out=json.loads(run["left_out"]),
        settings=json.loads(run["settings"]),
        figures=[_figure(row) for row in found],
    )
    standing = Standing(run["active"], run["active_checkpoint"], run["read_since"], run["imported_since"])
    return Comparison(report, standing)


def _figure(row: dict[str, Any]) -> Figure:
    estimate = Estimate(row["value"], row["ci_low"], row["ci_high"], row["n"], row["note"])
    return Figure(row["reader"], row["dimension"], row["subgroup"], row["metric"], estimate)


@st.cache_data(show_spinner=False, max_entries=_KEPT_CURVES)
def _trained_on(published: queries.Publication, checkpoint_sha256: str, data_kind: str) -> str:
    with queries.opened(published) as connection:
        found = [one for one in models(connection) if one.checkpoint_sha256 == checkpoint_sha256]
        if found:
            return trained_on(connection, found[0])
    return "simulated CT" if data_kind == "simulated" else "CT and DXA of a site"


@st.cache_data(show_spinner=False, max_entries=_KEPT_CURVES)
def curves(published: queries.Publication, run_id: int) -> AgreementCurves:
    """Read the pairs as the comparison did, and draw up its pictures; kept as long as the publication is shown.

    Raises:
        UserError: its settings are of another version, or the publication lacks what they name.
    """
    (run,) = queries.records(queries.answer(published, "validation_run", {"run_id": run_id}))
    try:
        settings = ValidationSettings.model_validate_json(run["settings"])
    except ValidationError as problem:
        raise UserError(
            "The settings of this comparison are of another version of this software. Run `screening validate`."
        ) from problem
    references = queries.records(queries.answer(published, "validation_references"))
    known = REFERENCES | {row["name"]: Reference(**row) for row in references}
    with queries.opened(published) as connection:
        return agreement_curves(read_pairs(connection, settings, known), settings.smallest_group)


def same_pairs(compared: Comparison, drawn: AgreementCurves) -> bool:
    """Tell whether the pairs of the publication are those that the figures were computed from."""
    report = compared.report
    counts = PairCounts(report.pair_count, report.bmd_count, report.label_count, report.osteoporosis_count)
    return (
        counts == drawn.counts
        and _same(compared.estimate("pearson_r"), drawn.pearson_r)
        and _same(compared.estimate("auc"), drawn.auc)
    )


def _same(stored: Estimate, drawn: Estimate) -> bool:
    if stored.value is None or drawn.value is None:
        return stored.value == drawn.value
    return math.isclose(stored.value, drawn.value, rel_tol=_SAME)


def basis(compared: Comparison) -> list[tuple[str, str]]:
    """List how many patients each step has left, and how many were left out for which reason."""
    counts = [(what, count) for what, count in facts(compared.report) if count.replace(", ", "").isdigit()]
    return [(what, ", ".join(f"{int(one):,}" for one in count.split(", "))) for what, count in counts]


def beside_paper(compared: Comparison) -> pd.DataFrame:
    """Set r and AUC of this site beside the paper's two sets of patients."""
    return pd.DataFrame(
        [
            {
                "figure": figure_words.metric(metric),
                "here": figure_words.figure(metric, compared.estimate(metric)),
                **{paper.patients: f"{getattr(paper, metric):.3f} (n = {paper.n})" for paper in PAPER},
            }
            for metric in ("pearson_r", "auc")
        ]
    )


def overall(compared: Comparison, reader: str) -> pd.DataFrame:
    """List the figures of a reader over all patients, in the order of the report."""
    found = {
        figure.metric: figure.estimate
        for figure in compared.report.figures
        if figure.reader == reader and figure.dimension == "overall"
    }
    return pd.DataFrame(
        [
            {
                "figure": figure_words.metric(metric),
                "value": figure_words.value(metric, found[metric].value),
                "interval": figure_words.interval(metric, found[metric]),
                "n": found[metric].n,
            }
            for metric in METRIC_WORDS
            if metric in found
        ],
        columns=["figure", "value", "interval", "n"],
    )


def beside_attenuation(compared: Comparison) -> pd.DataFrame:
    """Set BMD_CNN beside the straight line through trabecular HU, and their difference where it is stored."""
    readers = ("bmd_cnn", "hu_regression", "difference")
    stored = [metric for metric in METRIC_WORDS if compared.estimate(metric, "hu_regression") is not NOT_STORED]
    return pd.DataFrame(
        [
            [figure_words.metric(metric), *(_cell(metric, compared.estimate(metric, reader)) for reader in readers)]
            for metric in stored
        ],
        columns=["figure", *readers],
    )


def _cell(metric: str, estimate: Estimate) -> str | None:
    return None if estimate is NOT_STORED else figure_words.figure(metric, estimate)


def dimensions(compared: Comparison) -> list[str]:
    """List what patients were grouped by."""
    return [name for name in figure_words.DIMENSIONS if compared.report.of(name)]


def metrics(compared: Comparison) -> list[str]:
    """List the figures that groups have."""
    grouped = {figure.metric for figure in compared.report.figures if figure.dimension != "overall"}
    return [metric for metric in METRIC_WORDS if metric in grouped]


def groups(compared: Comparison, dimension: str, metric: str) -> pd.DataFrame:
    """List the groups of a dimension with one figure: subgroup, value, low, high, n, note."""
    return pd.DataFrame(
        [
            (one.subgroup, one.estimate.value, one.estimate.low, one.estimate.high, one.estimate.n, one.estimate.note)
            for one in compared.report.of(dimension)
            if one.metric == metric
        ],
        columns=["subgroup", "value", "low", "high", "n", "note"],
    )


def export(compared: Comparison) -> pd.DataFrame:
    """List every figure of a comparison with what it rests on and the labels it must carry."""
    report = compared.report
    figures = pd.DataFrame(
        [
            (f.reader, f.dimension, f.subgroup, f.metric, f.estimate.value, f.estimate.low, f.estimate.high)
            + (f.estimate.n, f.estimate.note)
            for f in report.figures
        ],
        columns=["reader", "dimension", "subgroup", "metric", "value", "ci_low", "ci_high", "n", "note"],
    )
    return figures.assign(
        run_id=report.run_id,
        validated_at=report.validated_at,
        checkpoint=report.checkpoint,
        checkpoint_sha256=report.checkpoint_sha256,
        labels=" ".join(report.labels),
    )
