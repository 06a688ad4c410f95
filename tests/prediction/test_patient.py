from dataclasses import replace

import numpy as np
import pytest

from screening.config import READERS_DISAGREE_HU
from screening.errors import Excluded, Exclusion
from screening.imaging.attenuation import TrabecularReading
from screening.imaging.body_heights import BodyHeights
from screening.imaging.body_quality import BodyQuality
from screening.imaging.lumbar import Vertebra
from screening.prediction.inference import SlicePredictions
from screening.prediction.patient import (
    LevelBmd,
    LevelProblem,
    PatientBmd,
    SlabBmd,
    level_bmd,
    patient_bmd,
    robust_mean,
    slabs_of,
)
from screening.prediction.tscore import REFERENCES, Category

SOUND = BodyQuality(
    BodyHeights(27.0, 26.0, 27.0, np.zeros((2, 3)), np.zeros((2, 3))),
    height_loss=0.05,
    fracture_loss=0.2,
    metal_mm3=0.0,
    dark_share=0.0,
)
HOLOGIC = REFERENCES["hologic_l1_l4_female"]


def a_level(name: str, bmd: float, sd: float = 0.03, roi_hu: float = 100.0, attended_hu: float = 100.0) -> LevelBmd:
    vertebra = Vertebra(name, (0.0, 0.0, 0.0), 15.0, -15.0, 0.9)
    roi = TrabecularReading(roi_hu, 30.0, roi_hu, 300.0, 33.0, np.zeros((3, 3)), np.zeros((3, 3)))
    return level_bmd(vertebra, roi, SOUND, [SlabBmd(z, bmd, sd, attended_hu, 33.0) for z in (-5.0, 0.0, 5.0)])


def a_patient(
    levels: list[LevelBmd], age_years: float | None = 70.0, half_width: float = 0.1, hu_scale: float = 1.0
) -> PatientBmd:
    return patient_bmd(
        levels,
        reference=HOLOGIC,
        interval_half_width_g_cm2=half_width,
        age_years=age_years,
        readers_disagree_hu=READERS_DISAGREE_HU,
        hu_scale=hu_scale,
    )


def test_the_patient_is_the_mean_of_the_levels() -> None:
    patient = a_patient([a_level("L1", 0.70), a_level("L2", 0.72), a_level("L3", 0.74), a_level("L4", 0.76)])

    assert patient.bmd_g_cm2 == pytest.approx(0.73)
    assert (patient.low_g_cm2, patient.high_g_cm2) == pytest.approx((0.63, 0.83))
    assert patient.t_score == pytest.approx((0.73 - 1.047) / 0.110)
    assert patient.category is Category.OSTEOPOROSIS
    assert patient.warnings == ()


def test_one_usable_level_is_not_enough() -> None:
    with pytest.raises(Excluded) as excluded:
        a_patient([a_level("L1", 0.7), a_level("L2", 0.7, sd=0.3)])
    assert excluded.value.reason is Exclusion.TOO_FEW_LEVELS


def test_two_usable_levels_are_enough_and_said() -> None:
    assert "mean of 2 of 4 levels" in a_patient([a_level("L1", 0.7), a_level("L2", 0.7)]).warnings


def test_t12_and_l5_do_not_count() -> None:
    levels = [a_level("T12", 0.2), a_level("L1", 0.8), a_level("L2", 0.8), a_level("L5", 1.5)]

    patient = a_patient(levels)

    assert patient.bmd_g_cm2 == pytest.approx(0.8)
    assert [level.problem for level in patient.levels] == [
        LevelProblem.NOT_A_DXA_LEVEL,
        None,
        None,
        LevelProblem.NOT_A_DXA_LEVEL,
    ]


@pytest.mark.parametrize(("excess_t", "dropped"), [(0.99, False), (1.01, True)])
def test_a_level_more_than_one_t_score_away_is_dropped(excess_t: float, dropped: bool) -> None:
    crushed = 0.8 + excess_t * HOLOGIC.sd_g_cm2

    patient = a_patient([a_level("L1", 0.8), a_level("L2", 0.8), a_level("L3", 0.8), a_level("L4", crushed)])

    assert (patient.levels[3].problem is LevelProblem.OUTLIER) == dropped


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"height_loss": 0.20}, None),
        ({"height_loss": 0.21}, LevelProblem.HEIGHT_LOSS),
        ({"height_loss": 0.21, "fracture_loss": 0.25}, None),
        ({"height_loss": None}, None),
        ({"metal_mm3": 29.9}, None),
        ({"metal_mm3": 30.0}, LevelProblem.METAL),
        ({"metal_mm3": 900.0, "height_loss": 0.4}, LevelProblem.METAL),
        ({"dark_share": 0.009}, None),
        ({"dark_share": 0.010}, LevelProblem.STREAKS),
    ],
)
def test_a_body_that_cannot_be_read_is_dropped_with_its_reason(
    changed: dict[str, float | None], problem: LevelProblem | None
) -> None:
    vertebra = Vertebra("L1", (0.0, 0.0, 0.0), 15.0, -15.0, 0.9)
    roi = TrabecularReading(100.0, 30.0, 100.0, 300.0, 33.0, np.zeros((3, 3)), np.zeros((3, 3)))

    level = level_bmd(vertebra, roi, replace(SOUND, **changed), [SlabBmd(0.0, 0.8, 0.03, 100.0, 33.0)])

    assert level.problem is problem


def test_a_slab_the_network_is_unsure_of_does_not_count() -> None:
    vertebra = Vertebra("L1", (0.0, 0.0, 0.0), 15.0, -15.0, 0.9)
    roi = TrabecularReading(100.0, 30.0, 100.0, 300.0, 33.0, np.zeros((3, 3)), np.zeros((3, 3)))

    level = level_bmd(vertebra, roi, SOUND, [SlabBmd(0.0, 0.8, 0.03, 90.0, 33.0), SlabBmd(5.0, 0.2, 0.2, 300.0, 33.0)])

    assert level.bmd_g_cm2 == pytest.approx(0.8)
    assert level.attended_hu == pytest.approx(90.0)


def test_probability_is_one_half_at_the_cut_and_ninety_five_percent_at_the_interval_end() -> None:
    cut = 1.047 - 2.5 * 0.110
    levels = ("L1", "L2")

    assert a_patient([a_level(name, cut) for name in levels]).osteoporosis_probability == pytest.approx(0.5)
    assert a_patient([a_level(name, cut - 0.1) for name in levels]).osteoporosis_probability == pytest.approx(0.95)


@pytest.mark.parametrize(("age", "has_category"), [(49.9, False), (50.0, True), (None, False)])
def test_no_category_under_fifty_or_at_unknown_age(age: float | None, has_category: bool) -> None:
    patient = a_patient([a_level("L1", 0.7), a_level("L2", 0.7)], age_years=age)
    assert (patient.category is not None) == has_category


@pytest.mark.parametrize(("attended_hu", "disagreeing"), [(125.0, ()), (125.1, ("L1",)), (75.0, ()), (74.9, ("L1",))])
def test_readers_that_differ_by_more_than_25_hu_call_for_review(
    attended_hu: float, disagreeing: tuple[str, ...]
) -> None:
    patient = a_patient([a_level("L1", 0.8, attended_hu=attended_hu), a_level("L2", 0.8)])

    assert patient.disagreeing_levels == disagreeing
    said = "for review: network and region of interest differ by 25.1 HU in L1"
    assert (said in patient.warnings) == bool(disagreeing)


@pytest.mark.parametrize(("hu_scale", "disagreeing"), [(0.80, ("L1", "L2")), (1.0, ())])
def test_readers_are_compared_at_120_kv(hu_scale: float, disagreeing: tuple[str, ...]) -> None:
    levels = [a_level(name, 0.8, roi_hu=150.0, attended_hu=150.0) for name in ("L1", "L2")]

    assert a_patient(levels, hu_scale=hu_scale).disagreeing_levels == disagreeing


def test_marrow_below_water_is_not_scaled() -> None:
    levels = [a_level(name, 0.4, roi_hu=-60.0, attended_hu=-60.0) for name in ("L1", "L2")]

    assert a_patient(levels, hu_scale=0.5).disagreeing_levels == ()


def test_a_level_that_does_not_count_calls_for_no_review() -> None:
    levels = [a_level("L1", 0.8), a_level("L2", 0.8), a_level("L5", 0.8, attended_hu=300.0)]

    assert a_patient(levels).disagreeing_levels == ()


def test_one_slab_through_something_else_does_not_move_the_level() -> None:
    vertebra = Vertebra("L1", (0.0, 0.0, 0.0), 15.0, -15.0, 0.9)
    roi = TrabecularReading(100.0, 30.0, 100.0, 300.0, 33.0, np.zeros((3, 3)), np.zeros((3, 3)))
    island = SlabBmd(5.0, 1.4, 0.05, 320.0, 33.0)

    level = level_bmd(
        vertebra, roi, SOUND, [SlabBmd(-5.0, 0.80, 0.03, 90.0, 33.0), SlabBmd(0.0, 0.82, 0.03, 95.0, 33.0), island]
    )

    assert level.bmd_g_cm2 == pytest.approx((0.80 + 0.82 + 0.84) / 3)
    assert level.attended_hu == pytest.approx((90.0 + 95.0 + 103.0) / 3)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0], 3.0),
        ([1.0, 9.0], 5.0),
        ([1.0, 2.0, 3.0], 2.0),
        ([4.0, 5.0, 8.0], 16 / 3),
        ([4.0, 5.0, 500.0], 16 / 3),
    ],
)
def test_a_robust_mean_draws_in_what_is_far_from_the_median(values: list[float], expected: float) -> None:
    assert robust_mean(values, reach=2.0) == pytest.approx(expected)


def test_two_slabs_are_averaged() -> None:
    vertebra = Vertebra("L1", (0.0, 0.0, 0.0), 15.0, -15.0, 0.9)
    roi = TrabecularReading(100.0, 30.0, 100.0, 300.0, 33.0, np.zeros((3, 3)), np.zeros((3, 3)))

    level = level_bmd(
        vertebra, roi, SOUND, [SlabBmd(-3.0, 0.8, 0.03, 90.0, 33.0), SlabBmd(3.0, 0.9, 0.03, 100.0, 33.0)]
    )

    assert level.bmd_g_cm2 == pytest.approx(0.85)


def test_slabs_pair_predictions_with_heights() -> None:
    one = np.float32([0.8, 0.9])
    predictions = SlicePredictions(one, one * 0, one * 100, one * 40, np.zeros((2, 1, 1), np.float32))

    slabs = slabs_of(predictions, np.array([-5.0, 5.0]))

    assert [slab.z_mm for slab in slabs] == [-5.0, 5.0]
    assert slabs[1].bmd_g_cm2 == pytest.approx(0.9)
