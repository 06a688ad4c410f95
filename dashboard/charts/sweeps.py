"""Nights and the flow of studies -> figures."""

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard import wording
from dashboard.charts.colours import BLUE, GREEN, GREY, ORANGE, VERMILION

# Status -> colour and pattern of its bars: told apart without colour as well.
BARS = {"measured": (BLUE, ""), "excluded": (GREY, "/"), "failed": (VERMILION, "x")}
MOST_TICKS = 8
MOST_MARKERS = 120  # nights; more marks would run into one thick line
MOST_REASONS = 6  # of a box; the others are counted together, the table lists them

INK = {"light": "black", "dark": "white"}  # theme of the page -> text
FONT_PX = 13
LINE_PX = 17  # plotly sets lines of text at 1.3 times the size of the font
PADDING_LINES = 0.5  # above and below the text of a box
GAP_LINES = 1.4  # between boxes: room for an arrow
STAGE_LEFT, STAGE_RIGHT, REASON_LEFT = 0.0, 0.36, 0.43  # shares of the width


def nights_chart(nights: pd.DataFrame) -> go.Figure:
    """Draw what became of the studies of each night, the share that failed with its limit, and the speed.

    Args:
        nights: rows of `sweeps_nights.sql`, newest first.
    """
    shown = nights.iloc[::-1].reset_index(drop=True)
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.5, 0.25, 0.25])
    names = "sweep " + shown["sweep_id"].astype(str) + ", " + shown["started_at"].dt.strftime("%Y-%m-%d %H:%M UTC")
    for status, (colour, pattern) in BARS.items():
        figure.add_bar(
            x=shown.index, y=shown[f"{status}_count"], name=wording.BUCKETS[status], row=1, col=1,
            marker={
                "color": colour, "line_width": 0,
                "pattern": {"shape": pattern, "fillmode": "overlay", "fgcolor": "white"},
            },
            customdata=names, hovertemplate="%{customdata}: %{y:,} studies<extra>%{fullData.name}</extra>",
        )  # fmt: skip
    _add_unfinished(figure, shown, names)
    _add_line(figure, shown["failed_share_percent"], names, "Failed share", VERMILION, "x", "%{y:.1f} %", 2)
    figure.add_scatter(
        x=shown.index, y=shown["failed_share_limit_percent"], name="Limit of the failed share", mode="lines",
        line={"color": ORANGE, "dash": "dash", "shape": "hv", "width": 2}, row=2, col=1,
        hovertemplate="limit %{y:.1f} %<extra></extra>",
    )  # fmt: skip
    _add_line(figure, shown["studies_per_hour"], names, "Speed", BLUE, "circle", "%{y:,.0f} studies/h", 3)
    figure.update_yaxes(title="Studies read (count)", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="Failed (%)", rangemode="tozero", row=2, col=1)
    figure.update_yaxes(title="Speed (1/h)", rangemode="tozero", row=3, col=1)
    figure.update_xaxes(title="Sweep (number, and day of its start, UTC)", row=3, col=1, **_ticks(shown))
    return figure.update_layout(
        barmode="stack",
        height=560,
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
    )


def flow_chart(flow: pd.DataFrame, ink: str) -> go.Figure:
    """Draw the studies that reached each stage, top to bottom, and beside each arrow why the others did not.

    Args:
        flow: rows of `sweeps_flow.sql`.
        ink: colour of the text; notes in a chart are grey on every theme by themselves, too pale to be read.
    """
    reached = flow[flow["reason"].isna()].sort_values("step")
    found = int(reached["study_count"].iloc[0]) if len(reached) else 0
    figure = go.Figure()
    top = 0.0
    for step, stage, count in zip(reached["step"], reached["stage"], reached["study_count"], strict=True):
        stopped = flow[(flow["step"] == step) & flow["reason"].notna()]
        if step > 1:
            top = _add_way(figure, top, reason_lines(stopped))
        colour = GREEN if stage == "measured" else BLUE
        stage_box = _Box(STAGE_LEFT, STAGE_RIGHT, top, stage_lines(stage, count, found))
        _add_box(figure, stage_box, colour, "solid")
        top = stage_box.bottom
    figure.update_xaxes(visible=False, range=(0, 1), fixedrange=True)
    figure.update_yaxes(visible=False, range=(top + 0.2, -0.2), fixedrange=True)
    figure.update_annotations(font_color=ink)
    return figure.update_layout(
        height=round((top + 0.4) * LINE_PX), margin={"l": 2, "r": 2, "t": 0, "b": 0}, showlegend=False, dragmode=False
    )


def stage_lines(stage: str, count: int, found: int) -> list[str]:
    """Write the text of a stage: its name, its studies, and their share of all that were found."""
    share = f" ({100 * count / found:.1f} %)" if found and stage != "found" else ""
    return [f"<b>{wording.FLOW_STAGES[stage]}</b>", f"{count:,} studies{share}"]


def reason_lines(stopped: pd.DataFrame) -> list[str]:
    """Write why studies stopped before a stage, most frequent first, the rarest together; nothing where none did."""
    if stopped.empty:
        return []
    named = stopped if len(stopped) <= MOST_REASONS else stopped.iloc[: MOST_REASONS - 1]
    lines = [
        f"{count:,}  {flow_reason(reason)}" for reason, count in zip(named["reason"], named["study_count"], strict=True)
    ]
    others = stopped.iloc[len(named) :]
    if len(others):
        lines.append(f"{others['study_count'].sum():,}  for {len(others)} other reasons")
    return [f"<b>{stopped['study_count'].sum():,} studies not</b>", *lines]


def flow_reason(reason: str) -> str:
    """Word a reason of the view exclusion_flow; a failure keeps its exception type."""
    if reason == "not_read_yet":
        return "Not read yet"
    failure = reason.removeprefix("failed: ")
    return f"Failed: {failure}" if failure != reason else wording.reason(reason)


@dataclass(frozen=True, slots=True)
class _Box:
    """A box of text; x in shares of the width, y in lines of text from the top."""

    left: float
    right: float
    top: float
    lines: list[str]

    @property
    def bottom(self) -> float:
        return self.top + len(self.lines) + 2 * PADDING_LINES


def _add_box(figure: go.Figure, box: _Box, colour: str, dash: str) -> None:
    figure.add_shape(
        type="rect", x0=box.left, x1=box.right, y0=box.top, y1=box.bottom,
        line={"color": colour, "width": 2, "dash": dash},
    )  # fmt: skip
    figure.add_annotation(
        x=box.left, y=box.top + PADDING_LINES, text="<br>".join(box.lines), showarrow=False, align="left",
        xanchor="left", yanchor="top", xshift=8, font_size=FONT_PX,
    )  # fmt: skip


def _add_way(figure: go.Figure, top: float, reasons: list[str]) -> float:
    """Draw the arrow to the next stage and the box of those that do not get there; return where the stage begins."""
    middle = (STAGE_LEFT + STAGE_RIGHT) / 2
    if not reasons:
        _add_arrow(figure, (middle, top), (middle, top + GAP_LINES))
        return top + GAP_LINES
    box = _Box(REASON_LEFT, 1.0, top + GAP_LINES / 2, reasons)
    below = box.bottom + GAP_LINES / 2
    _add_arrow(figure, (middle, top), (middle, below))
    aside = (box.top + box.bottom) / 2
    _add_arrow(figure, (middle, aside), (box.left, aside))
    _add_box(figure, box, GREY, "dot")
    return below


def _add_arrow(figure: go.Figure, start: tuple[float, float], end: tuple[float, float]) -> None:
    figure.add_annotation(
        x=end[0], y=end[1], ax=start[0], ay=start[1], xref="x", yref="y", axref="x", ayref="y", text="",
        showarrow=True, arrowhead=2, arrowwidth=2, arrowcolor=GREY,
    )  # fmt: skip


def _add_line(
    figure: go.Figure, values: pd.Series, names: pd.Series, name: str, colour: str, symbol: str, form: str, row: int
) -> None:
    figure.add_scatter(
        x=values.index, y=values, name=name, row=row, col=1, customdata=names,
        mode="lines+markers" if len(values) <= MOST_MARKERS else "lines",
        line={"color": colour, "width": 2}, marker={"symbol": symbol, "size": 7}, cliponaxis=False,
        hovertemplate=f"%{{customdata}}: {form}<extra></extra>",
    )  # fmt: skip


def _add_unfinished(figure: go.Figure, shown: pd.DataFrame, names: pd.Series) -> None:
    """Mark the nights that have no counts, since they did not come to their end."""
    unfinished = shown.index[shown["study_read_count"].isna()]
    if len(unfinished):
        figure.add_scatter(
            x=unfinished, y=[0] * len(unfinished), name="Did not come to its end", mode="markers", row=1, col=1,
            marker={"symbol": "triangle-up", "size": 12, "color": ORANGE}, cliponaxis=False,
            customdata=names[unfinished],
            hovertemplate="%{customdata}: did not come to its end<extra></extra>",
        )  # fmt: skip


def _ticks(shown: pd.DataFrame) -> dict[str, list[int] | list[str]]:
    """Name some nights, evenly spaced, the newest among them."""
    step = max(1, -(-len(shown) // MOST_TICKS))
    places = list(range(len(shown) - 1, -1, -step))[::-1]
    named = shown.iloc[places]
    days = named["started_at"].dt.strftime("%Y-%m-%d")
    return {"tickvals": places, "ticktext": list(named["sweep_id"].astype(str) + "<br>" + days)}
