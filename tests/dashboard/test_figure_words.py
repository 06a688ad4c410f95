"""Figures and shifts in words."""

import pytest

from dashboard import figure_words
from dashboard.figure_words import drift_metric, drift_shift, figure, interval, sentence, value
from screening.statistics import Estimate


@pytest.mark.parametrize(
    ("name", "stored", "written"),
    [
        ("pearson_r", 0.8536, "0.854"),
        ("coverage_90", 0.8996, "90.0 %"),
        ("bias_g_cm2", 0.0204, "+0.020"),
        ("bias_g_cm2", -0.0204, "−0.020"),
        ("mae_g_cm2", 0.05, "0.050"),
        ("auc", None, "—"),
    ],
)
def test_a_figure_is_written_in_its_unit(name: str, stored: float | None, written: str) -> None:
    assert value(name, stored) == written


def test_a_figure_has_interval_and_n() -> None:
    known = Estimate(0.0204, 0.01, 0.03, 12345)

    assert figure("bias_g_cm2", known) == "+0.020 (+0.010 to +0.030; n = 12,345)"
    assert sentence("bias_g_cm2", known) == "bias +0.020 g/cm² (95 % CI +0.010 to +0.030; n = 12,345)"


def test_a_figure_that_cannot_be_had_says_why() -> None:
    unknown = Estimate(None, None, None, 7, "fewer than 20 patients")

    assert figure("auc", unknown) == "fewer than 20 patients (n = 7)"
    assert sentence("auc", unknown) == "AUC for osteoporosis: fewer than 20 patients (n = 7)"


def test_a_missing_interval_says_why() -> None:
    assert interval("pearson_r", Estimate(1.0, None, None, 9, "no interval: all pairs lie on a line")).startswith("no ")


@pytest.mark.parametrize(
    ("metric", "shift", "written"),
    [
        ("fat_hu", 4.24, "+4.2 HU (z = +6.1): fat"),
        ("bmd_cnn", -0.0304, "−0.030 g/cm² (z = +6.1): BMD_CNN"),
        (
            "excluded: contrast",
            0.12,
            "+12.0 percentage points (z = +6.1): share of studies excluded: contrast-enhanced",
        ),
        ("failed", -0.12, "−12.0 percentage points (z = +6.1): share of studies that failed"),
    ],
)
def test_a_shift_has_its_unit(metric: str, shift: float, written: str) -> None:
    assert drift_shift(metric, shift, 6.1) == written


def test_nothing_judged_is_nothing_said() -> None:
    assert drift_shift(None, None, None) is None


def test_a_reason_that_is_not_known_keeps_its_word() -> None:
    assert drift_metric("excluded: unheard_of").name == "share of studies excluded: unheard of"


def test_axes_of_shares_are_in_per_cent() -> None:
    assert figure_words.axis("sensitivity") == ("Sensitivity of the flag (%)", 100.0)
    assert figure_words.axis("pearson_r") == ("Pearson r", 1.0)
