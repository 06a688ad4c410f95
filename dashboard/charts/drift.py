"""States of scanners over months -> pictures."""

import textwrap
from typing import Final

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard import figure_words
from dashboard.charts.colours import BLUE, GREY, ORANGE, SKY, VERMILION

# State -> symbol, colour and size; drawn in this order, so that an alert lies on top.
MARKS: Final = {
    "too_few": ("x-thin-open", GREY, 7),
    "baseline": ("circle-open", GREY, 10),
    "stable": ("circle", BLUE, 10),
    "alert": ("diamond", VERMILION, 13),
}
MOST_SCANNERS: Final = 40  # rows that one picture holds and a reader can follow
LINE_HEIGHT_PX: Final = 17  # of a scanner's name
ROW_GAP_PX: Final = 13
FRAME_HEIGHT_PX: Final = 100
HISTORY_HEIGHT_PX: Final = 640
NAME_WIDTH: Final = 46  # characters of a scanner's name on one line


def states_chart(months: pd.DataFrame, scanners: list[str]) -> go.Figure:
    """Draw the state of each scanner and month, told apart by shape and colour.

    Args:
        months: rows of `drift_months.sql`.
        scanners: whom to draw, the first on top.
    """
    shown = months[months["scanner"].isin(scanners)]
    names = [wrapped(scanner) for scanner in scanners]
    lines = max((name.count("<br>") + 1 for name in names), default=1)
    figure = go.Figure()
    for state, (symbol, colour, size) in MARKS.items():
        rows = shown[shown["state"] == state]
        figure.add_scatter(
            x=rows["month"], y=rows["scanner"].map(wrapped), name=figure_words.STATES[state], mode="markers",
            marker={"symbol": symbol, "color": colour, "size": size, "line": {"width": 2, "color": colour}},
            customdata=rows["study_count"],
            hovertemplate="%{x|%Y-%m}, up to %{customdata:,} studies<extra>" + figure_words.STATES[state] + "</extra>",
        )  # fmt: skip
    figure.update_xaxes(title="Month of the CT", dtick="M3" if shown["month"].nunique() <= 36 else "M12")
    figure.update_xaxes(tickformat="%Y-%m")
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=names[::-1],
        automargin=True, range=(-0.7, len(scanners) - 0.3),
    )  # fmt: skip
    return figure.update_layout(
        height=FRAME_HEIGHT_PX + (ROW_GAP_PX + LINE_HEIGHT_PX * lines) * max(len(names), 1),
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "reversed"},
    )


def history_chart(history: pd.DataFrame, metric: str) -> go.Figure:
    """Draw what one scanner read in each month, how far from chance that is, and of how many studies.

    Above, the value with the baseline and the band in which a shift does not matter; in the middle z with its limits;
    below the studies. An alert lies outside of both: too large a shift to be harmless, and to be chance.

    Args:
        history: rows of `drift_history.sql`.
        metric: what they are of.
    """
    words = figure_words.drift_metric(metric)
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, row_heights=[0.56, 0.24, 0.20], vertical_spacing=0.05)
    values = history.assign(
        **{name: history[name] * words.factor for name in ("value", "baseline", "shift", "material_shift")}
    )
    _add_baseline(figure, values)
    _add_limits(figure, values)
    figure.add_scatter(
        x=values["month"], y=values["value"], mode="lines", line={"color": GREY, "width": 1}, hoverinfo="skip",
        showlegend=False, row=1, col=1,
    )  # fmt: skip
    for state, (symbol, colour, size) in MARKS.items():
        _add_state(figure, values[values["state"] == state], (state, symbol, colour, size), words)
    figure.add_bar(
        x=values["month"], y=values["n"], marker_color=SKY, name="studies", showlegend=False, row=3, col=1,
        hovertemplate="%{x|%Y-%m}: %{y:,} studies<extra></extra>",
    )  # fmt: skip
    figure.update_yaxes(title=words.unit, row=1, col=1)
    figure.update_yaxes(title="z", row=2, col=1)
    figure.update_yaxes(title="Studies", rangemode="tozero", row=3, col=1)
    figure.update_xaxes(tickformat="%Y-%m")
    figure.update_xaxes(title="Month of the CT", row=3, col=1)
    return figure.update_layout(
        height=HISTORY_HEIGHT_PX,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
    )


def wrapped(name: str) -> str:
    """Break the long name of a scanner into lines."""
    return "<br>".join(textwrap.wrap(name, NAME_WIDTH)) or name


def _add_baseline(figure: go.Figure, values: pd.DataFrame) -> None:
    """Draw the baseline that each month was held against, and the band about it in which a shift does not matter."""
    low, high = values["baseline"] - values["material_shift"], values["baseline"] + values["material_shift"]
    for edge, fill, name in ((low, None, ""), (high, "tonexty", "shift that does not matter")):
        figure.add_scatter(
            x=values["month"], y=edge, mode="lines", line={"width": 0, "color": GREY}, fill=fill,
            fillcolor="rgba(127, 138, 147, 0.22)", name=name, showlegend=bool(name), hoverinfo="skip", row=1, col=1,
        )  # fmt: skip
    figure.add_scatter(
        x=values["month"], y=values["baseline"], mode="lines", name="baseline", hoverinfo="skip",
        line={"color": ORANGE, "dash": "dash", "width": 2}, row=1, col=1,
    )  # fmt: skip


def _add_limits(figure: go.Figure, values: pd.DataFrame) -> None:
    """Draw the limits that chance keeps z within."""
    for sign in (1, -1):
        figure.add_scatter(
            x=values["month"], y=sign * values["z_limit"], mode="lines", name="limits of chance", hoverinfo="skip",
            showlegend=sign == 1, line={"color": ORANGE, "dash": "dot", "width": 2}, row=2, col=1,
        )  # fmt: skip


def _add_state(
    figure: go.Figure, rows: pd.DataFrame, mark: tuple[str, str, str, int], words: figure_words.DriftMetric
) -> None:
    """Mark the months of one state, above by their value and in the middle by their z."""
    state, symbol, colour, size = mark
    marker = {"symbol": symbol, "color": colour, "size": size, "line": {"width": 2, "color": colour}}
    name = figure_words.STATES[state]
    figure.add_scatter(
        x=rows["month"], y=rows["value"], mode="markers", name=name, marker=marker, legendgroup=state,
        customdata=rows[["n", "shift"]],
        hovertemplate="%{x|%Y-%m}: %{y:." + str(words.decimals) + "f} " + words.unit
        + ", n = %{customdata[0]:,}<extra>" + name + "</extra>", row=1, col=1,
    )  # fmt: skip
    figure.add_scatter(
        x=rows["month"], y=rows["z"], mode="markers", name=name, marker=marker, legendgroup=state, showlegend=False,
        customdata=rows[["months", "shift"]],
        hovertemplate="%{x|%Y-%m}: z %{y:+.1f}, shift %{customdata[1]:+." + str(words.decimals) + "f} " + words.unit
        + " over %{customdata[0]:.0f} months<extra>" + name + "</extra>", row=2, col=1,
    )  # fmt: skip
