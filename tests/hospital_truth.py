"""What figures of a random hospital come to where it is so large that chance no longer counts."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, Final

import numpy as np
import random_hospital
from numpy.typing import NDArray
from random_hospital import MEAN_G_CM2, SD_G_CM2, Law
from sklearn.metrics import roc_auc_score

PATIENTS, SEED = 400_000, 987
# A bias, a machine that drifts, and doctors who send the low to DXA.
PLANTED: Final = Law(drifting_scanner=2, drift_hu=10.0, leaning=0.8, bias_g_cm2=0.01, error_g_cm2=0.05)


@cache
def at_large(law: Law, *, verified: bool) -> dict[str, NDArray[Any]]:
    """Draw measured patients of the law; of those with a DXA near the CT, or of all as if everybody had one."""
    drawn = random_hospital.people(replace(law, patients=PATIENTS), np.random.default_rng(SEED))
    day_of_year = 30.4 * drawn["month"] - 15 + drawn["days_to_dxa"]
    taken = drawn["measured"] & ((drawn["has_dxa"] & (day_of_year < 365)) | (not verified))
    return {name: values[taken] for name, values in drawn.items()}


def _osteoporosis(people: dict[str, NDArray[Any]]) -> NDArray[Any]:
    return np.round((people["bmd_dxa"] - MEAN_G_CM2) / SD_G_CM2, 2) <= -2.5


def _auc(people: dict[str, NDArray[Any]]) -> float:
    return float(roc_auc_score(_osteoporosis(people), -people["bmd_cnn"]))


def _sensitivity(people: dict[str, NDArray[Any]]) -> float:
    return float((people["t_cnn"] <= -2.5)[_osteoporosis(people)].mean())


def _specificity(people: dict[str, NDArray[Any]]) -> float:
    return float((people["t_cnn"] > -2.5)[~_osteoporosis(people)].mean())


def _error(people: dict[str, NDArray[Any]]) -> NDArray[Any]:
    return np.asarray(people["bmd_cnn"] - people["bmd_dxa"])


Metric = Callable[[dict[str, NDArray[Any]]], float]
_OF_OSTEOPOROSIS: Final[dict[str, Metric]] = {
    "auc": _auc,
    "sensitivity": _sensitivity,
    "specificity": _specificity,
    "prevalence": lambda people: float(_osteoporosis(people).mean()),
}
_OF_BMD: Final[dict[str, Metric]] = {
    "pearson_r": lambda people: float(np.corrcoef(people["bmd_cnn"], people["bmd_dxa"])[0, 1]),
    "bias_g_cm2": lambda people: float(_error(people).mean()),
    "mae_g_cm2": lambda people: float(np.abs(_error(people)).mean()),
    "lower_limit_g_cm2": lambda people: float(_error(people).mean() - 1.96 * _error(people).std()),
    "upper_limit_g_cm2": lambda people: float(_error(people).mean() + 1.96 * _error(people).std()),
    "calibration_slope": lambda people: float(np.polyfit(people["bmd_cnn"], people["bmd_dxa"], 1)[0]),
    "coverage_90": lambda people: float((np.abs(_error(people)) <= 0.1).mean()),
}


def _at_large(metric: Metric, *, verified: bool) -> Callable[[Law], float]:
    return lambda law: metric(at_large(law, verified=verified))


VERIFIED: Final = {name: _at_large(metric, verified=True) for name, metric in (_OF_OSTEOPOROSIS | _OF_BMD).items()}
EVERYBODY: Final = {name: _at_large(metric, verified=False) for name, metric in _OF_OSTEOPOROSIS.items()}
