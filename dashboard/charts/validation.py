"""Pairs, curves and figures of a comparison with DXA -> pictures."""

import pandas as pd
import plotly.graph_objects as go

from dashboard.charts.colours import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION
from screening.agreement_curves import COVERED
from screening.statistics import Estimate

HEIGHT_PX = 420
SMALL_HEIGHT_PX = 340  # of pictures of which three stand in a row
ROW_HEIGHT_PX = 28
FRAME_HEIGHT_PX = 110
BMD_MARGIN_G_CM2 = 0.05
PROBABILITY_RANGE = (-0.02, 1.02)
# Checkpoints of successive comparisons, told apart by shape as well; after these they start again.
CHECKPOINT_MARKS = (("circle", BLUE), ("diamond", VERMILION), ("square", GREEN), ("triangle-up", PURPLE))


def agreement_chart(points: pd.DataFrame, slope: Estimate, intercept: Estimate) -> go.Figure:
    """Draw DXA against BMD_CNN with the line of identity and the fitted line of the figures.

    Args:
        points: `AgreementCurves.points`.
        slope: calibration slope, DXA on BMD_CNN.
        intercept: its intercept, g/cm2.
    """
    low, high = _span(points[["bmd_cnn", "bmd_dxa"]])
    figure = go.Figure()
    _add_cloud(figure, points["bmd_cnn"], points["bmd_dxa"], "BMD_CNN %{x:.3f}, DXA %{y:.3f} g/cm²")
    _add_line(figure, [low, high], [low, high], "identity", GREY, "dash")
    if slope.value is not None and intercept.value is not None:
        ends = [float(points["bmd_cnn"].min()), float(points["bmd_cnn"].max())]
        fitted = [intercept.value + slope.value * end for end in ends]
        _add_line(figure, ends, fitted, "fitted line", VERMILION, "solid")
    figure.update_xaxes(title="BMD_CNN (g/cm²)", range=(low, high))
    figure.update_yaxes(title="DXA (g/cm²)", range=(low, high))
    return _finished(figure)


def bland_altman_chart(points: pd.DataFrame, bias: Estimate, lower: Estimate, upper: Estimate) -> go.Figure:
    """Draw the difference against the mean of both, with bias and limits of agreement and their intervals.

    Args:
        points: `AgreementCurves.points`.
        bias: mean difference BMD_CNN - DXA, g/cm2.
        lower: lower limit of agreement, g/cm2.
        upper: upper limit, g/cm2.
    """
    figure = go.Figure()
    _add_cloud(figure, points["mean"], points["difference"], "mean %{x:.3f}, difference %{y:+.3f} g/cm²")
    low, high = _span(points[["mean"]])
    _add_line(figure, [low, high], [0.0, 0.0], "no difference", GREY, "dot")
    for estimate, name, colour, dash in (
        (upper, "upper limit", ORANGE, "dash"),
        (bias, "bias", VERMILION, "solid"),
        (lower, "lower limit", ORANGE, "dashdot"),
    ):
        if estimate.value is not None:
            _add_band(figure, estimate, colour)
            _add_line(figure, [low, high], [estimate.value] * 2, name, colour, dash)
    figure.update_xaxes(title="Mean of BMD_CNN and DXA (g/cm²)", range=(low, high))
    figure.update_yaxes(title="BMD_CNN − DXA (g/cm²)")
    return _finished(figure)


def roc_chart(curve: pd.DataFrame, sensitivity: Estimate, specificity: Estimate) -> go.Figure:
    """Draw the ROC curve of BMD_CNN, and where the flag lies with its intervals.

    Args:
        curve: `AgreementCurves.roc`.
        sensitivity: of the flag.
        specificity: of the flag.
    """
    figure = go.Figure()
    _add_line(figure, [0.0, 1.0], [0.0, 1.0], "chance", GREY, "dash")
    figure.add_scatter(
        x=curve["false_positive"], y=curve["sensitivity"], name="BMD_CNN", mode="lines",
        line={"color": BLUE, "width": 2.5, "shape": "linear"},
        hovertemplate="sensitivity %{y:.3f} at false positive %{x:.3f}<extra></extra>",
    )  # fmt: skip
    if sensitivity.value is not None and specificity.value is not None:
        figure.add_scatter(
            x=[1 - specificity.value], y=[sensitivity.value], name="the flag", mode="markers",
            marker={"symbol": "diamond", "size": 13, "color": VERMILION, "line": {"width": 2, "color": "white"}},
            error_x=_error(_mirrored(specificity), VERMILION), error_y=_error(sensitivity, VERMILION),
            hovertemplate="the flag: sensitivity %{y:.3f} at false positive %{x:.3f}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title="1 − specificity", range=PROBABILITY_RANGE)
    figure.update_yaxes(title="Sensitivity", range=PROBABILITY_RANGE)
    return _finished(figure, SMALL_HEIGHT_PX)


def reliability_chart(shares: pd.DataFrame) -> go.Figure:
    """Draw the share with osteoporosis by DXA against the stated probability, by tenths, with intervals.

    Args:
        shares: `AgreementCurves.reliability`.
    """
    figure = go.Figure()
    _add_line(figure, [0.0, 1.0], [0.0, 1.0], "as stated", GREY, "dash")
    _add_shares(figure, shares, "observed", "stated %{x:.3f}, observed %{y:.3f}, n = %{customdata:,}", joined=True)
    figure.update_xaxes(title="Stated probability", range=PROBABILITY_RANGE)
    figure.update_yaxes(title="Share with osteoporosis by DXA", range=PROBABILITY_RANGE)
    return _finished(figure, SMALL_HEIGHT_PX)


def coverage_chart(shares: pd.DataFrame) -> go.Figure:
    """Draw how often DXA lies within the 90 % interval, by groups of rising BMD_CNN, with intervals.

    Args:
        shares: `AgreementCurves.coverage`.
    """
    figure = go.Figure()
    if not shares.empty:
        low, high = _span(shares[["place"]])
        _add_line(figure, [low, high], [COVERED, COVERED], "as promised (0.90)", GREY, "dash")
        figure.update_xaxes(range=(low, high))
    _add_shares(
        figure, shares, "observed", "BMD_CNN %{x:.3f} g/cm², covered %{y:.3f}, n = %{customdata:,}", joined=False
    )
    figure.update_xaxes(title="BMD_CNN of the group (g/cm²)")
    figure.update_yaxes(title="Share within the 90 % interval", range=(_floor(shares["low"]), 1.01))
    return _finished(figure, SMALL_HEIGHT_PX)


def forest_chart(groups: pd.DataFrame, everybody: Estimate, title: str, most: float) -> go.Figure:
    """Draw one figure of each group with its interval, that of all patients behind; a group too small says so.

    Args:
        groups: subgroup, value, low, high, n and note, the first on top.
        everybody: the figure of all patients.
        title: of the axis, with its unit.
        most: factor from stored values to the unit.
    """
    shown = groups.dropna(subset="value")
    figure = go.Figure()
    if everybody.value is not None:
        figure.add_vline(x=most * everybody.value, line={"color": GREY, "dash": "dash", "width": 1.5})
        if everybody.low is not None and everybody.high is not None:
            figure.add_vrect(
                x0=most * everybody.low, x1=most * everybody.high, fillcolor=GREY, opacity=0.25, line_width=0
            )
    figure.add_scatter(
        x=most * shown["value"], y=_group_names(shown), mode="markers", showlegend=False,
        marker={"symbol": "square", "size": 10, "color": BLUE},
        error_x={
            "type": "data", "symmetric": False, "color": BLUE, "thickness": 2, "width": 5,
            "array": most * (shown["high"] - shown["value"]), "arrayminus": most * (shown["value"] - shown["low"]),
        },
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )  # fmt: skip
    small = groups[groups["value"].isna()]
    for name, note in zip(_group_names(small), small["note"], strict=True):
        figure.add_annotation(
            x=0.01, xref="x domain", xanchor="left", y=name, text=note, showarrow=False, font={"color": GREY}
        )
    figure.update_xaxes(title=title)
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=list(_group_names(groups))[::-1], automargin=True,
        range=(-0.7, len(groups) - 0.3),
    )  # fmt: skip
    return _finished(figure, FRAME_HEIGHT_PX + ROW_HEIGHT_PX * max(len(groups), 1))


def runs_chart(runs: pd.DataFrame, metric: str, title: str, most: float) -> go.Figure:
    """Draw one figure of successive comparisons with its interval; each checkpoint has its own mark.

    Args:
        runs: rows of `validation_runs.sql`.
        metric: one of its figures.
        title: of the axis, with its unit.
        most: factor from stored values to the unit.
    """
    figure = go.Figure()
    for number, (checkpoint, rows) in enumerate(runs.dropna(subset=metric).groupby("checkpoint", sort=False)):
        symbol, colour = CHECKPOINT_MARKS[number % len(CHECKPOINT_MARKS)]
        found = rows[[metric, f"{metric}_low", f"{metric}_high"]].set_axis(["value", "low", "high"], axis=1)
        _add_over_time(figure, rows["validated_at"], found, (str(checkpoint), symbol, colour), most)
    day = pd.Timedelta(days=1)  # so that one comparison alone does not stand between two milliseconds
    figure.update_xaxes(
        title="Compared on (UTC)", range=(runs["validated_at"].min() - day, runs["validated_at"].max() + day)
    )
    figure.update_yaxes(title=title)
    return _finished(figure)


def months_chart(months: pd.DataFrame, everybody: Estimate, title: str, most: float) -> go.Figure:
    """Draw one figure by month of the CT with its interval, that of all patients behind; small months have no mark.

    Args:
        months: subgroup (YYYY-MM), value, low, high, n and note.
        everybody: the figure of all patients.
        title: of the axis, with its unit.
        most: factor from stored values to the unit.
    """
    shown = months.dropna(subset="value")
    figure = go.Figure()
    if everybody.value is not None:
        figure.add_hline(y=most * everybody.value, line={"color": GREY, "dash": "dash", "width": 1.5})
    dated = pd.to_datetime(shown["subgroup"], format="%Y-%m")
    _add_over_time(figure, dated, shown, ("by month of the CT", "circle", BLUE), most)
    figure.update_xaxes(title="Month of the CT")
    figure.update_yaxes(title=title)
    return _finished(figure).update_layout(showlegend=False)


def _add_cloud(figure: go.Figure, x: pd.Series, y: pd.Series, hover: str) -> None:
    figure.add_scatter(
        x=x.round(4), y=y.round(4), mode="markers", name="pairs", showlegend=False,
        marker={"symbol": "circle", "size": 4, "color": BLUE, "opacity": 0.45},
        hovertemplate=f"{hover}<extra></extra>",
    )  # fmt: skip


def _add_line(figure: go.Figure, x: list[float], y: list[float], name: str, colour: str, dash: str) -> None:
    figure.add_scatter(
        x=x, y=y, name=name, mode="lines", line={"color": colour, "dash": dash, "width": 2}, hoverinfo="skip"
    )


def _add_band(figure: go.Figure, estimate: Estimate, colour: str) -> None:
    if estimate.low is not None and estimate.high is not None:
        figure.add_hrect(y0=estimate.low, y1=estimate.high, fillcolor=colour, opacity=0.25, line_width=0, layer="below")


def _add_shares(figure: go.Figure, shares: pd.DataFrame, name: str, hover: str, *, joined: bool) -> None:
    figure.add_scatter(
        x=shares["place"], y=shares["share"], customdata=shares["n"], name=name,
        mode="lines+markers" if joined else "markers",
        line={"color": BLUE, "width": 1}, marker={"symbol": "circle", "size": 9, "color": BLUE},
        error_y={
            "type": "data", "symmetric": False, "color": BLUE, "thickness": 2, "width": 5,
            "array": shares["high"] - shares["share"], "arrayminus": shares["share"] - shares["low"],
        },
        hovertemplate=f"{hover}<extra></extra>",
    )  # fmt: skip


def _add_over_time(
    figure: go.Figure, at: pd.Series, found: pd.DataFrame, mark: tuple[str, str, str], most: float
) -> None:
    name, symbol, colour = mark
    figure.add_scatter(
        x=at, y=most * found["value"], name=name, mode="lines+markers",
        line={"color": colour, "width": 1}, marker={"symbol": symbol, "size": 9, "color": colour},
        error_y={
            "type": "data", "symmetric": False, "color": colour, "thickness": 1.5, "width": 3,
            "array": most * (found["high"] - found["value"]), "arrayminus": most * (found["value"] - found["low"]),
        },
        hovertemplate="%{x|%Y-%m-%d}: %{y:.3f}<extra>" + name + "</extra>",
    )  # fmt: skip


def _error(estimate: Estimate, colour: str) -> dict[str, object] | None:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    return {
        "type": "data", "symmetric": False, "color": colour, "thickness": 2, "width": 5,
        "array": [estimate.high - estimate.value], "arrayminus": [estimate.value - estimate.low],
    }  # fmt: skip


def _mirrored(share: Estimate) -> Estimate:
    """Turn the share of those who are into that of those who are not."""
    if share.value is None or share.low is None or share.high is None:
        return share
    return Estimate(1 - share.value, 1 - share.high, 1 - share.low, share.n)


def _group_names(groups: pd.DataFrame) -> list[str]:
    return [f"{subgroup} (n = {n:,})" for subgroup, n in zip(groups["subgroup"], groups["n"], strict=True)]


def _span(values: pd.DataFrame) -> tuple[float, float]:
    """Return ends of an axis a little beyond all values, g/cm2."""
    if values.empty:
        return 0.0, 2.0
    return float(values.min().min()) - BMD_MARGIN_G_CM2, float(values.max().max()) + BMD_MARGIN_G_CM2


def _floor(low: pd.Series) -> float:
    """Return the lower end of an axis of shares that are mostly high: a half, or less where one is lower."""
    return min(0.5, float(low.min()) - 0.02) if len(low) else 0.5


def _finished(figure: go.Figure, height: int = HEIGHT_PX) -> go.Figure:
    return figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
    )
