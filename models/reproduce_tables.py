"""Measurements on simulated patients -> Markdown tables with 95 % confidence intervals."""

from models.intervals import Estimate
from models.measurement import GroupError, Measurement

SIMULATED = (
    "Simulated patients, 95 % confidence intervals in brackets. Reference: simulated DXA of L1-L4 (areal BMD with 1 %\n"
    "precision error); osteoporosis: T <= -2.5. Physics: exact HU and depth through the affine. Noise ceiling: exact\n"
    "areal BMD."
)
PAPER_R = {"internal": Estimate(0.852, 0.745, 0.916), "external": Estimate(0.840, 0.733, 0.906)}
"""Yasaka et al. 2020, abstract; the intervals are not the paper's, but Fisher's for its 45 and 50 patients."""
PAPER_AUC = {"internal": 0.965, "external": 0.970}


def design_table(measured: dict[str, Measurement]) -> str:
    """Paper, ours, physics and ceiling for every set of patients."""
    lines = [
        SIMULATED,
        "",
        "| patients | n (osteoporosis) | figure | paper, real patients | ours | physics | noise ceiling |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in measured.items():
        who = f"| {name.replace('_', ', ')} | {found.n} ({found.n_osteoporosis})"
        paper_r = _three(PAPER_R[name]) if name in PAPER_R else ""
        paper_auc = f"{PAPER_AUC[name]:.3f}" if name in PAPER_AUC else ""
        readers = (found.cnn, found.physics, found.ceiling)
        lines += [
            f"{who} | Pearson r | {paper_r} | {' | '.join(_three(reader.r) for reader in readers)} |",
            f"{who} | AUC, osteoporosis | {paper_auc} | {' | '.join(_three(reader.auc) for reader in readers)} |",
        ]
    return "\n".join(lines) + "\n"


def evaluation_table(measured: Measurement, checkpoint: str) -> str:
    """Figures of one checkpoint, with its errors by voltage and thickness."""
    readers = (measured.cnn, measured.physics, measured.ceiling)
    who = f"{checkpoint}, n = {measured.n} ({measured.n_osteoporosis} osteoporosis)"
    lines = [
        SIMULATED,
        "",
        f"| {who} | BMD_CNN | physics | noise ceiling |",
        "|---|---|---|---|",
        f"| Pearson r | {' | '.join(_three(reader.r) for reader in readers)} |",
        f"| AUC, osteoporosis | {' | '.join(_three(reader.auc) for reader in readers)} |",
        f"| MAE, g/cm2 | {' | '.join(_three(reader.mae) for reader in readers)} |",
        f"| bias, g/cm2 | {' | '.join(_three(reader.bias) for reader in readers)} |",
        f"| coverage of the 90 % interval | {_three(measured.coverage)} | | |",
        "",
        "| slices through bodies | n | BMD bias, RMSE (g/cm2) | HU bias, RMSE |",
        "|---|---|---|---|",
        *(_group_line(group) for group in measured.groups),
    ]
    return "\n".join(lines) + "\n"


def _group_line(group: GroupError) -> str:
    bmd = f"{group.bmd_bias_g_cm2:+.3f}, {group.bmd_rmse_g_cm2:.3f}"
    return f"| {group.group} | {group.n_slices} | {bmd} | {group.hu_bias:+.1f}, {group.hu_rmse:.1f} |"


def _three(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
