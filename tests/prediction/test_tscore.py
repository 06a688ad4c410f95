import numpy as np
import pytest

from screening.prediction.tscore import (
    NHANES_BY_AGE,
    REFERENCES,
    Category,
    OsteoporosisRule,
    Placement,
    Reference,
    Standard,
    category,
    osteoporosis_cut_g_cm2,
    place,
    t_score,
    yam_percent,
)

HOLOGIC = REFERENCES["hologic_l1_l4_female"]
BY_HOLOGIC = Standard(HOLOGIC)
JAPANESE = REFERENCES["japan_l1_l4_hologic"]
BELOW, WITHIN = "below_expected_range_for_age", "within_expected_range_for_age"


def placed(
    bmd: float, *, age: float = 70.0, sex: str = "F", half_width: float = 0.1, standard: Standard = BY_HOLOGIC
) -> Placement:
    return place(np.array([bmd]), np.array([half_width]), np.array([age]), np.array([sex]), standard)


def at_t(t: float, reference: Reference = HOLOGIC) -> float:
    return reference.mean_g_cm2 + t * reference.sd_g_cm2


@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (-2.51, Category.OSTEOPOROSIS),
        (-2.50, Category.OSTEOPOROSIS),
        (-2.49, Category.OSTEOPENIA),
        (-1.01, Category.OSTEOPENIA),
        (-1.00, Category.NORMAL),
        (0.0, Category.NORMAL),
    ],
)
def test_categories_change_at_the_who_limits(t: float, expected: Category) -> None:
    assert category(t) == expected
    assert list(placed(at_t(t)).category) == [expected]


@pytest.mark.parametrize(
    ("yam", "t", "expected"),
    [
        (69.9, -2.3, Category.OSTEOPOROSIS),
        (70.0, -2.3, Category.OSTEOPOROSIS),
        (70.1, -2.3, Category.OSTEOPENIA),
        (70.1, -2.6, Category.OSTEOPENIA),
        (90.0, -0.9, Category.NORMAL),
    ],
)
def test_the_japanese_rule_asks_for_seventy_percent(yam: float, t: float, expected: Category) -> None:
    assert category(t, yam) == expected


@pytest.mark.parametrize(
    ("yam", "band", "expected"),
    [(69.9, "likely", "osteoporosis"), (70.0, "likely", "osteoporosis"), (70.1, "indeterminate", "osteopenia")],
)
def test_the_rule_in_force_places_at_seventy_percent(yam: float, band: str, expected: str) -> None:
    at_yam = placed(JAPANESE.mean_g_cm2 * yam / 100, standard=Standard(JAPANESE, OsteoporosisRule.YAM))
    assert (at_yam.category[0], at_yam.band[0]) == (expected, band)
    assert at_yam.yam_percent[0] == pytest.approx(yam)


def test_the_rule_decides_the_probability() -> None:
    by_yam = placed(0.7 * JAPANESE.mean_g_cm2, standard=Standard(JAPANESE, OsteoporosisRule.YAM))
    by_t = placed(0.7 * JAPANESE.mean_g_cm2, standard=Standard(JAPANESE))
    assert by_yam.osteoporosis_probability[0] == pytest.approx(0.5)
    assert by_t.osteoporosis_probability[0] > 0.5


@pytest.mark.parametrize(
    ("t", "low_t", "expected"),
    [
        (-2.51, -3.4, "likely"),
        (-2.50, -3.4, "likely"),
        (-2.49, -3.4, "indeterminate"),
        (-1.60, -2.50, "indeterminate"),
        (-1.59, -2.49, "not_flagged"),
    ],
)
def test_bands_change_at_the_cut(t: float, low_t: float, expected: str) -> None:
    assert placed(at_t(t), half_width=at_t(t) - at_t(low_t)).band[0] == expected


@pytest.mark.parametrize(
    ("age", "t_category", "z_category"),
    [(49.0, "", BELOW), (49.99, "", BELOW), (50.0, "osteoporosis", ""), (np.nan, "", "")],
)
def test_under_fifty_the_z_score_speaks(age: float, t_category: str, z_category: str) -> None:
    low = placed(0.6, age=age)
    assert (low.category[0], low.z_category[0]) == (t_category, z_category)


@pytest.mark.parametrize(("z", "expected"), [(-2.01, BELOW), (-2.0, BELOW), (-1.99, WITHIN)])
def test_the_expected_range_for_age_ends_at_minus_two(z: float, expected: str) -> None:
    young = placed(1.056 + z * 0.134, age=45.0)
    assert young.z_score[0] == pytest.approx(z)
    assert young.z_category[0] == expected


@pytest.mark.parametrize(
    ("age", "sex", "mean"),
    [(21.0, "F", 1.064), (30.9, "F", 1.064), (31.0, "F", 1.065), (31.0, "M", 1.042), (80.9, "M", 1.068)],
)
def test_z_scores_are_of_sex_and_decade(age: float, sex: str, mean: float) -> None:
    assert placed(mean, age=age, sex=sex).z_score[0] == pytest.approx(0.0)


@pytest.mark.parametrize(("age", "sex"), [(20.9, "F"), (81.0, "F"), (np.nan, "F"), (45.0, "O"), (45.0, "")])
def test_no_z_score_where_no_decade_or_sex_holds(age: float, sex: str) -> None:
    without = placed(0.6, age=age, sex=sex)
    assert np.isnan(without.z_score[0])
    assert without.z_category[0] == ""


def test_no_z_score_on_another_scale() -> None:
    lunar = Standard(REFERENCES["lunar_l1_l4_female"])
    assert np.isnan(placed(1.0, age=45.0, standard=lunar).z_score[0])


def test_many_are_placed_as_each_is() -> None:
    bmd, age, sex = np.array([0.7, 0.9, 1.1]), np.array([40.0, 60.0, np.nan]), np.array(["M", "F", ""])
    together = place(bmd, np.full(3, 0.1), age, sex, BY_HOLOGIC)
    one_by_one = [placed(b, age=a, sex=s) for b, a, s in zip(bmd, age, sex, strict=True)]
    assert list(together.band) == [one.band[0] for one in one_by_one]
    assert list(together.category) == [one.category[0] for one in one_by_one]
    np.testing.assert_array_equal(together.z_score, [one.z_score[0] for one in one_by_one])


def test_hologic_cut_is_the_published_0_772() -> None:
    assert osteoporosis_cut_g_cm2(HOLOGIC) == pytest.approx(0.772, abs=5e-4)
    assert placed(0.772).category[0] == "osteoporosis"


def test_japanese_seventy_percent_of_the_young_adult_mean() -> None:
    assert yam_percent(0.7 * 0.989, JAPANESE) == pytest.approx(70.0)
    assert t_score(0.989, JAPANESE) == 0.0
    assert Standard(JAPANESE, OsteoporosisRule.YAM).cut_g_cm2 == pytest.approx(0.692, abs=5e-4)


def test_every_reference_says_where_it_is_from_and_whether_that_was_read() -> None:
    assert all(reference.source and reference.manufacturer for reference in REFERENCES.values())
    assert [name for name, reference in REFERENCES.items() if reference.verified] == ["nhanes_l1_l4_female"]
    assert NHANES_BY_AGE.verified
