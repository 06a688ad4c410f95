"""BMD of two checkpoints and DXA of the same patients -> which of them to sweep with."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from screening.roc import auc_difference
from screening.statistics import Array, Estimate, paired_bootstrap
from screening.validation import reader_against_dxa

FEWEST_PAIRS: Final = 20
# Pairs read by fits that leave them out come from several fits, which disturbs their order by about 0.001.
SMALLEST_LOSS_OF_AUC: Final = 0.005
SHOWN: Final = ("pearson_r", "mae_g_cm2", "rmse_g_cm2", "bias_g_cm2", "calibration_slope", "auc")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of two checkpoints on the same pairs, and of candidate minus current."""

    n: int
    current: Mapping[str, Estimate]
    candidate: Mapping[str, Estimate]
    difference: Mapping[str, Estimate]

    @property
    def objection(self) -> str | None:
        """Why the candidate should not be promoted; None where nothing speaks against it.

        It is worse where its error is larger, or its AUC smaller, by more than chance, or both by whatever it be.
        """
        if self.n < FEWEST_PAIRS:
            return f"both have read only {self.n} pairs with a DXA on their scale, too few to compare ({FEWEST_PAIRS})"
        error, told = self.difference["mae_g_cm2"], self.difference["auc"]
        if error.low is not None and error.low > 0:
            return f"its mean absolute error is larger by {error.value:.4f} g/cm2 (at least {error.low:.4f})"
        if told.value is not None and told.high is not None and told.high < 0 and -told.value > SMALLEST_LOSS_OF_AUC:
            return f"its AUC is smaller by {-told.value:.4f} (at least {-told.high:.4f})"
        if (error.value or 0) > 0 and (told.value or 0) < 0:
            return "its mean absolute error is larger and its AUC smaller"
        return None

    def document(self) -> dict[str, Any]:
        """All figures as plain values."""
        sides = {"current": self.current, "candidate": self.candidate, "difference": self.difference}
        figures = {side: {name: asdict(one) for name, one in found.items()} for side, found in sides.items()}
        return {"n": self.n, **figures}


def compare(current: Array, candidate: Array, bmd_dxa: Array, osteoporosis: Array) -> Comparison:
    """Compare two checkpoints patient by patient.

    Args:
        current: (n,) BMD by the checkpoint in use, g/cm2; NaN where it has not read.
        candidate: likewise by the other.
        bmd_dxa: (n,) g/cm2; NaN where there is none on the scale.
        osteoporosis: (n,) 1, 0 or NaN.
    """
    read = ~np.isnan(current) & ~np.isnan(candidate)
    measured, told = read & ~np.isnan(bmd_dxa), read & ~np.isnan(osteoporosis)
    low = osteoporosis[told] == 1
    own, other = (np.abs(values - bmd_dxa)[measured] for values in (candidate, current))
    return Comparison(
        n=int(measured.sum()),
        current=_shown(np.where(read, current, np.nan), bmd_dxa, osteoporosis),
        candidate=_shown(np.where(read, candidate, np.nan), bmd_dxa, osteoporosis),
        difference={
            "mae_g_cm2": paired_bootstrap(lambda taken: float((own[taken] - other[taken]).mean()), len(own)),
            "auc": auc_difference(-candidate[told], -current[told], low),
        },
    )


def _shown(read: Array, bmd_dxa: Array, osteoporosis: Array) -> dict[str, Estimate]:
    found = reader_against_dxa(read, bmd_dxa, osteoporosis)
    return {name: found[name] for name in SHOWN}
