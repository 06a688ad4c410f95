"""Measurements of one patient -> figures."""

import pandas as pd
import plotly.graph_objects as go

from dashboard.charts.colours import BLUE, GREY, ORANGE, VERMILION
from screening.prediction.tscore import NORMAL_T, OSTEOPOROSIS_T

T_RANGE = (-5.0, 2.0)  # shown unless a measurement lies outside

# Method -> symbol, fill and outline; a white outline keeps the mark apart from the bands on light and dark pages.
MARKS = {"CT": ("circle", BLUE, "white"), "DXA": ("diamond", VERMILION, "white")}
ROW_HEIGHT_PX = 40
FRAME_HEIGHT_PX = 100
LEVEL_ROW_HEIGHT_PX = 30


def t_score_chart(measurements: pd.DataFrame) -> go.Figure:
    """Draw each T-score on its own row over the category bands, newest on top, BMD_CNN with its 90 % interval.

    Args:
        measurements: rows of `patient_measurements.sql`; rows without a T-score are left to the tables.
    """
    shown = measurements.dropna(subset="t_score")
    low, high = _t_range(shown)
    figure = go.Figure()
    for left, right, colour, opacity, name in (
        (low, OSTEOPOROSIS_T, VERMILION, 0.20, "T ≤ −2.5"),
        (OSTEOPOROSIS_T, NORMAL_T, ORANGE, 0.16, "−2.5 to −1.0"),
        (NORMAL_T, high, BLUE, 0.12, "T ≥ −1.0"),
    ):
        figure.add_vrect(
            x0=left, x1=right, fillcolor=colour, opacity=opacity, line_width=0, layer="below",
            annotation={"text": name, "yanchor": "bottom", "font_size": 11}, annotation_position="top",
        )  # fmt: skip
    _add_rows(figure, shown, "t_score", "%{x:.2f}", "T-score")
    figure.update_xaxes(title="T-score (standard deviations from the young adult mean)", range=(low, high))
    return _finished(figure, shown)


def bmd_chart(measurements: pd.DataFrame) -> go.Figure:
    """Draw each areal BMD on its own row, newest on top, without categories: for those to whom none applies.

    Args:
        measurements: rows of `patient_measurements.sql`; rows without a BMD are left to the tables.
    """
    shown = measurements.dropna(subset="bmd_g_cm2")
    figure = go.Figure()
    _add_rows(figure, shown, "bmd_g_cm2", "%{x:.3f} g/cm²", "BMD")
    figure.update_xaxes(title="Areal BMD (g/cm², DXA on the scale of its manufacturer)")
    return _finished(figure, shown)


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
    figure.update_xaxes(title="BMD_CNN (g/cm²) ± standard deviation")
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


def _row_names(shown: pd.DataFrame) -> pd.Series:
    """Name a row by its date and what was measured."""
    dates = shown["measured_date"].dt.strftime("%Y-%m-%d").fillna("no date")
    names: pd.Series = dates.str.cat(shown["what"], sep="  ")
    return names


def _add_rows(figure: go.Figure, shown: pd.DataFrame, value: str, form: str, word: str) -> None:
    """Add one trace for CT and one for DXA, with interval bars where an interval is known."""
    for method, (symbol, colour, outline) in MARKS.items():
        rows = shown[shown["method"] == method]
        low, high = (rows[_end(value, end)] for end in ("low", "high"))
        figure.add_scatter(
            x=rows[value], y=_row_names(rows), name=method, mode="markers",
            marker={"symbol": symbol, "size": 13, "color": colour, "line": {"width": 2, "color": outline}},
            error_x={
                "type": "data", "symmetric": False, "color": colour, "thickness": 3, "width": 8,
                "array": high - rows[value], "arrayminus": rows[value] - low,
            },
            hovertemplate=f"%{{y}}<br>{word} {form}<extra></extra>",
        )  # fmt: skip


def _end(value: str, end: str) -> str:
    """Name the column that holds this end of the interval."""
    return f"t_score_{end}" if value == "t_score" else f"bmd_{end}_g_cm2"


def _finished(figure: go.Figure, shown: pd.DataFrame) -> go.Figure:
    """Give a chart of measurements its rows in the order of the frame and a height that fits them."""
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=list(_row_names(shown))[::-1], automargin=True,
        range=(-0.6, len(shown) - 0.4),
    )  # fmt: skip
    return figure.update_layout(
        height=FRAME_HEIGHT_PX + ROW_HEIGHT_PX * max(len(shown), 1),
        margin={"l": 8, "r": 8, "t": 30, "b": 8},
        showlegend=False,
    )
