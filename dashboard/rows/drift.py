"""Whether scanners still read as they did: what `screening drift` has judged."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from dashboard import figure_words, queries
from screening.validation_settings import DriftSettings


@dataclass(frozen=True, slots=True)
class Standing:
    """Up to which month scanners were judged."""

    newest_month: date | None  # None where drift was never run
    scanner_count: int
    judged_count: int  # scanners that could be judged in the newest months
    newest_study_date: date | None
    later_months: bool  # there are measured CT of later months


def standing(published: queries.Publication) -> Standing:
    """Tell up to which month scanners were judged."""
    (row,) = queries.records(
        queries.answer(published, "drift_standing", {"newest_months": DriftSettings().alert_months})
    )
    return Standing(**row)


def alerts(published: queries.Publication) -> dict[str, list[str]]:
    """Say of each scanner that reads otherwise now what it does, the shift that stands out most first."""
    found = queries.answer(published, "drift_alerts", {"newest_months": DriftSettings().alert_months})
    told: dict[str, list[str]] = {}
    for alert in queries.records(found):
        told.setdefault(alert["scanner"], []).append(alert_words(alert))
    return told


def alert_words(alert: dict[str, Any]) -> str:
    """Say in one sentence what a scanner reads otherwise, by how much, and how sure that is."""
    metric = figure_words.drift_metric(alert["metric"])
    direction = "higher" if alert["shift"] > 0 else "lower"
    span = f", over its {alert['months']:.0f} newest months" if alert["months"] > 1 else ""
    what = f"{metric.name} is" if metric.is_share else f"reads {metric.name}"
    return (
        f"{what} {metric.shift(abs(alert['shift']))} {direction} than in its first months{span} "
        f"({metric.value(alert['baseline'])} then; n = {alert['n']:,} in {alert['month']:%Y-%m}; "
        f"z = {figure_words.deviate(alert['z'])}, chance ±{alert['z_limit']:.1f}), since {alert['since_month']:%Y-%m}"
    )


def scanners(published: queries.Publication) -> pd.DataFrame:
    """List where each scanner stands in its newest month, alerts first."""
    found = queries.answer(published, "drift_scanners")
    worst = [
        figure_words.drift_shift(row["worst_metric"], row["worst_shift"], row["worst_z"])
        for row in queries.records(found)
    ]
    return found.assign(worst=pd.Series(worst, dtype=object), state=found["state"].map(figure_words.STATES))


def months(published: queries.Publication, metric: str | None) -> pd.DataFrame:
    """List the state of each scanner and month: of one metric, or the gravest of all."""
    return queries.answer(published, "drift_months", {"metric": metric})


def metrics(published: queries.Publication, scanner: str | None = None) -> list[str]:
    """List the metrics that were judged, of one scanner or of all; those with alerts first."""
    return list(queries.answer(published, "drift_metrics", {"scanner": scanner})["metric"])


def history(published: queries.Publication, scanner: str, metric: str) -> pd.DataFrame:
    """List what a scanner read in each month."""
    return queries.answer(published, "drift_history", {"scanner": scanner, "metric": metric})
