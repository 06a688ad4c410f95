"""Measurements of one patient -> figures."""

from typing import Final

import pandas as pd
import plotly.graph_objects as go

from dashboard.charts.colours import BLUE, GREY, ORANGE, PURPLE, VERMILION
from screening.prediction.tscore import NORMAL_T, OSTEOPOROSIS_T

T_RANGE: Final = (-5.0, 2.0)  # shown unless a measurement lies outside
HEIGHT_PX: Final = 330
FRAME_HEIGHT_PX: Final = 100
LEVEL_ROW_HEIGHT_PX: Final = 30
ONE_DAY_MARGIN: Final = pd.Timedelta(days=180)  # about a single date

# Name of a trace -> method, where it was measured, symbol and colour; a white outline keeps marks apart from the bands.
TRACES: Final = {
    "BMD_CNN from CT, 90 % interval": ("CT", "lumbar spine", "circle", BLUE),
    "DXA, lumbar spine": ("DXA", "lumbar spine", "diamond", VERMILION),
    "DXA, hip": ("DXA", "hip", "square", PURPLE),
}


def t_score_timeline(measurements: pd.DataFrame) -> go.Figure:
    """Draw each T-score at its date over the category bands, BMD_CNN with its 90 % interval.

    Args:
        measurements: rows of `patient_measurements.sql`; rows without a T-score or date are left to the tables.
    """
    shown = measurements.dropna(subset=["t_score", "measured_date"])
    low, high = _t_range(shown)
    figure = _timeline(shown, "t_score", "%{y:.2f}", "T-score")
    for bottom, top, colour, opacity, name in (
        (low, OSTEOPOROSIS_T, VERMILION, 0.20, "T ≤ −2.5"),
        (OSTEOPOROSIS_T, NORMAL_T, ORANGE, 0.16, "−2.5 to −1.0"),
        (NORMAL_T, high, BLUE, 0.12, "T ≥ −1.0"),
    ):
        figure.add_hrect(
            y0=bottom, y1=top, fillcolor=colour, opacity=opacity, line_width=0, layer="below",
            annotation={"text": name, "font_size": 11}, annotation_position="inside bottom right",
        )  # fmt: skip
    return figure.update_yaxes(title="T-score (SD from the young adult mean)", range=(low, high))


def bmd_timeline(measurements: pd.DataFrame) -> go.Figure:
    """Draw each areal BMD at its date without categories: for those to whom none applies.

    Args:
        measurements: rows of `patient_measurements.sql`; rows without a BMD or date are left to the tables.
    """
    figure = _timeline(measurements.dropna(subset=["bmd_g_cm2", "measured_date"]), "bmd", "%{y:.3f} g/cm²", "BMD")
    return figure.update_yaxes(title="Areal BMD (g/cm²)")


def level_chart(levels: pd.DataFrame) -> go.Figure:
    """Draw BMD_CNN of each level with the network's standard deviation; a level that is not used is hollow grey.

    Args:
        levels: rows of `patient_levels.sql`, cranial first.
    """
    shown = levels.dropna(subset="bmd_cnn")
    figure = go.Figure()
    for used, name, symbol, colour in (
        (True, "used", "circle", BLUE),
        (False, "not used", "circle-open", GREY),
    ):
        rows = shown[shown["used"] == used]
        figure.add_scatter(
            x=rows["bmd_cnn"], y=rows["level"], name=name, mode="markers",
            marker={"symbol": symbol, "size": 11, "color": colour, "line_width": 2},
            error_x={"type": "data", "array": rows["bmd_sd"], "color": colour, "thickness": 1.5},
            hovertemplate="%{y}: %{x:.3f} g/cm²<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title="BMD_CNN ± SD (g/cm²)")
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=list(levels["level"])[::-1], title="Level"
    )
    return figure.update_layout(
        height=FRAME_HEIGHT_PX + LEVEL_ROW_HEIGHT_PX * len(levels),
        margin={"l": 8, "r": 8, "t": 36, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
    )


def _t_range(shown: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the axis: the usual range, wider by half a unit beyond any measurement outside it."""
    ends = pd.concat([shown["t_score"], shown["t_score_low"], shown["t_score_high"]]).dropna()
    return min(T_RANGE[0], ends.min() - 0.5), max(T_RANGE[1], ends.max() + 0.5)


def _timeline(shown: pd.DataFrame, value: str, form: str, word: str) -> go.Figure:
    """Add a trace for CT and for each site of DXA, with interval bars where an interval is known."""
    column, low_column, high_column = _columns(value)
    figure = go.Figure()
    for name, (method, site, symbol, colour) in TRACES.items():
        rows = shown[(shown["method"] == method) & (shown["site"] == site)]
        figure.add_scatter(
            x=rows["measured_date"], y=rows[column], name=name, mode="markers", text=rows["what"],
            marker={"symbol": symbol, "size": 13, "color": colour, "line": {"width": 2, "color": "white"}},
            error_y={
                "type": "data", "symmetric": False, "color": colour, "thickness": 3, "width": 8,
                "array": rows[high_column] - rows[column], "arrayminus": rows[column] - rows[low_column],
            },
            showlegend=not rows.empty,
            hovertemplate=f"%{{x|%Y-%m-%d}}  %{{text}}<br>{word} {form}<extra></extra>",
        )  # fmt: skip
    if not shown.empty:
        dates = shown["measured_date"]
        margin = max((dates.max() - dates.min()) * 0.08, ONE_DAY_MARGIN)
        figure.update_xaxes(range=(dates.min() - margin, dates.max() + margin))
    figure.update_xaxes(title="Date of CT or DXA", type="date", tickformat="%Y-%m")
    return figure.update_layout(
        height=HEIGHT_PX,
        margin={"l": 8, "r": 8, "t": 30, "b": 8},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
    )


def _columns(value: str) -> tuple[str, str, str]:
    """Name the columns of a value and of the ends of its interval."""
    if value == "t_score":
        return "t_score", "t_score_low", "t_score_high"
    return "bmd_g_cm2", "bmd_low_g_cm2", "bmd_high_g_cm2"
