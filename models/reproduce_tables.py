"""Measurements on simulated patients -> Markdown tables and a picture, with 95 % confidence intervals."""

import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape

from models.intervals import Estimate
from models.measurement import FEWEST_PATIENTS, LARGEST_GROUP_BIAS_G_CM2, GroupError, Measurement

SIMULATED = (
    "Simulated patients, 95 % confidence intervals in brackets. Reference: simulated DXA of L1-L4 (areal BMD with 1\n"
    "% precision error, Hologic scale); osteoporosis: T <= -2.5. HU regression: mean of an ellipse in the body\n"
    "through a straight line; contour reader: HU times depth through a straight line; both lines fitted to patients\n"
    "of institution 1. Public formula: Comp2Comp's line, made for the HU of whole vertebrae. Physics: exact HU and\n"
    "depth through the affine. Noise ceiling: exact areal BMD."
)
READERS = {
    "cnn": "BMD_CNN",
    "hu_regression": "HU regression",
    "contour": "contour reader",
    "public_formula": "public formula",
    "physics": "physics",
    "ceiling": "noise ceiling",
}
PAPER_R = {"internal": Estimate(0.852, 0.745, 0.916), "external": Estimate(0.840, 0.733, 0.906)}
"""Yasaka et al. 2020, abstract; the intervals are not the paper's, but Fisher's for its 45 and 50 patients."""
PAPER_AUC = {"internal": 0.965, "external": 0.970}
BAND = re.compile(r"(?P<below>below )?(from )?(?P<figure>[0-9.]+)( to [0-9.]+)? (kVp|mm|years)")
"""What patients have in common, where it is a figure: "100 kVp", "below 260 mm", "260 to 300 mm", "from 300 mm"."""

PLOT_PX, MARGIN_PX, LINE_PX = 360, 60, 20
BMD_G_CM2 = (0.4, 1.6)  # of the scatter's axes
BIAS_G_CM2 = (-0.08, 0.08)
INK, ACCENT, PALE = "#333333", "#0072b2", "#bbbbbb"  # Okabe and Ito's blue: told apart by the colour-blind


def design_table(measured: dict[str, Measurement]) -> str:
    """Paper, ours, the comparator, physics and ceiling for every set of patients."""
    lines = [
        SIMULATED,
        "",
        "| patients | n (osteoporosis) | figure | paper, real people | ours | HU regression | physics | ceiling |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in measured.items():
        who = f"| {name.replace('_', ', ')} | {found.n} ({found.n_osteoporosis})"
        paper_r = _three(PAPER_R[name]) if name in PAPER_R else ""
        paper_auc = f"{PAPER_AUC[name]:.3f}" if name in PAPER_AUC else ""
        readers = [found.readers[reader] for reader in ("cnn", "hu_regression", "physics", "ceiling")]
        lines += [
            f"{who} | Pearson r | {paper_r} | {' | '.join(_three(reader.r) for reader in readers)} |",
            f"{who} | AUC, osteoporosis | {paper_auc} | {' | '.join(_three(reader.auc) for reader in readers)} |",
        ]
    for name, found in measured.items():
        lines += ["", f"{name.replace('_', ', ')}:", "", *_gain_lines(found)]
    return "\n".join(lines) + "\n"


def evaluation_table(measured: Measurement, checkpoint: str) -> str:
    """Figures of one checkpoint and of its comparators, the gain over one of them, and the errors by group."""
    measured = replace(measured, groups=_in_order(measured.groups))
    who = f"{checkpoint}, n = {measured.n} ({measured.n_osteoporosis} osteoporosis)"
    lines = [
        SIMULATED,
        "",
        f"| {who} | Pearson r | AUC, osteoporosis | MAE, g/cm2 | bias, g/cm2 |",
        "|---|---|---|---|---|",
    ]
    for reader, found in measured.readers.items():
        figures = " | ".join(_three(figure) for figure in (found.r, found.auc, found.mae, found.bias))
        lines.append(f"| {READERS[reader]} | {figures} |")
    lines += ["", f"Coverage of the 90 % interval: {_three(measured.coverage)}", "", *_gain_lines(measured), ""]
    return "\n".join(lines + _group_lines(measured)) + "\n"


def evaluation_picture(measured: Measurement) -> str:
    """Scatter of BMD_CNN over DXA, and the bias of every group with its interval, as SVG."""
    shown = [group for group in _in_order(measured.groups) if group.bias_g_cm2 is not None]
    height = max(PLOT_PX, LINE_PX * len(shown)) + 2 * MARGIN_PX
    width = 2 * PLOT_PX + 260 + 2 * MARGIN_PX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        f'font-size="12" fill="{INK}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_scatter(measured),
        *_bias_plot(shown, PLOT_PX + 260 + MARGIN_PX),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _in_order(groups: Sequence[GroupError]) -> tuple[GroupError, ...]:
    """Sort the groups of each kind: bands by their figures from below upwards, others by their names."""
    kinds = list(dict.fromkeys(group.by for group in groups))
    return tuple(sorted(groups, key=lambda group: (kinds.index(group.by), *_place(group.group))))


def _place(group: str) -> tuple[float, bool, str]:
    """Sort key: the lower edge, "below" before "from" it; names have none and keep to the alphabet."""
    band = BAND.fullmatch(group)
    return (float(band["figure"]), band["below"] is None, group) if band else (0.0, True, group)


def _gain_lines(measured: Measurement) -> list[str]:
    if measured.gain is None:
        return ["No comparator was fitted."]
    found = measured.gain
    return [
        "BMD_CNN minus HU regression on the same patients (patients resampled):",
        f"r {_signed(found.r)}, AUC {_signed(found.auc)}, MAE {_signed(found.mae)} g/cm2",
    ]


def _group_lines(measured: Measurement) -> list[str]:
    beyond = ", ".join(measured.groups_beyond_limit()) or "none"
    return [
        "| patients by | group | n | BMD bias, g/cm2 | BMD RMSE, g/cm2 | HU bias |",
        "|---|---|---|---|---|---|",
        *(_group_line(group) for group in measured.groups),
        "",
        f"Groups with a bias beyond {LARGEST_GROUP_BIAS_G_CM2:g} g/cm2: {beyond}",
    ]


def _group_line(group: GroupError) -> str:
    start = f"| {group.by} | {group.group} | {group.n} |"
    if group.bias_g_cm2 is None or group.rmse_g_cm2 is None or group.hu_bias is None:
        return f"{start} fewer than {FEWEST_PATIENTS} patients | | |"
    hu = group.hu_bias
    return (
        f"{start} {_signed(group.bias_g_cm2)} | {_three(group.rmse_g_cm2)} | "
        f"{hu.value:+.1f} ({hu.low:+.1f} to {hu.high:+.1f}) |"
    )


def _scatter(measured: Measurement) -> list[str]:
    low, high = BMD_G_CM2
    left, bottom = MARGIN_PX, MARGIN_PX + PLOT_PX

    def at(dxa: float, read: float) -> tuple[float, float]:
        return left + PLOT_PX * (dxa - low) / (high - low), bottom - PLOT_PX * (read - low) / (high - low)

    (x0, y0), (x1, y1) = at(low, low), at(high, high)
    parts = [
        f'<rect x="{left}" y="{MARGIN_PX}" width="{PLOT_PX}" height="{PLOT_PX}" fill="none" stroke="{INK}"/>',
        f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{PALE}"/>',
        _text(left, MARGIN_PX - 12, f"Simulated patients, n = {measured.n}, r = {_three(measured.readers['cnn'].r)}"),
        _text(left + PLOT_PX / 2, bottom + 38, "DXA, g/cm2", "middle"),
        _text(left, MARGIN_PX - 30, "BMD_CNN, g/cm2 (upwards)"),
    ]
    for tick in (0.4, 0.7, 1.0, 1.3, 1.6):
        x, y = at(tick, tick)
        parts += [_text(x, bottom + 18, f"{tick:g}", "middle"), _text(left - 6, y + 4, f"{tick:g}", "end")]
    for dxa, read in measured.points:
        x, y = at(dxa, read)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{ACCENT}" fill-opacity="0.6"/>')
    return parts


def _bias_plot(groups: list[GroupError], left: int) -> list[str]:
    low, high = BIAS_G_CM2

    def at(bias: float) -> float:
        return left + PLOT_PX * (min(max(bias, low), high) - low) / (high - low)

    bottom = MARGIN_PX + LINE_PX * len(groups)
    parts = [_text(left, MARGIN_PX - 12, "bias by group, g/cm2; grey: what is allowed")]
    for mark in (-LARGEST_GROUP_BIAS_G_CM2, 0.0, LARGEST_GROUP_BIAS_G_CM2):
        parts.append(f'<line x1="{at(mark):.1f}" y1="{MARGIN_PX}" x2="{at(mark):.1f}" y2="{bottom}" stroke="{PALE}"/>')
        parts.append(_text(at(mark), bottom + 18, f"{mark:+.2f}" if mark else "0", "middle"))
    for row, group in enumerate(groups):
        if group.bias_g_cm2 is None:
            continue
        y, bias = MARGIN_PX + LINE_PX * (row + 0.5), group.bias_g_cm2
        parts += [
            _text(left - 8, y + 4, f"{group.by}: {group.group} (n = {group.n})", "end"),
            f'<line x1="{at(bias.low):.1f}" y1="{y}" x2="{at(bias.high):.1f}" y2="{y}" stroke="{ACCENT}"/>',
            f'<circle cx="{at(bias.value):.1f}" cy="{y}" r="3.5" fill="{ACCENT}"/>',
        ]
    return parts


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _three(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"
