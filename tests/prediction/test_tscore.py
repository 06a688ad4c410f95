import pytest

from screening.prediction.tscore import REFERENCES, Category, category, osteoporosis_cut_g_cm2, t_score, yam_percent


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


def test_hologic_cut_is_the_published_0_772() -> None:
    assert osteoporosis_cut_g_cm2(REFERENCES["hologic_l1_l4_female"]) == pytest.approx(0.772, abs=5e-4)


def test_japanese_seventy_percent_of_the_young_adult_mean() -> None:
    japanese = REFERENCES["japan_l1_l4_hologic"]
    assert yam_percent(0.7 * 0.989, japanese) == pytest.approx(70.0)
    assert t_score(0.989, japanese) == 0.0


def test_every_reference_says_where_it_is_from() -> None:
    assert all(reference.source for reference in REFERENCES.values())
    assert [name for name, reference in REFERENCES.items() if reference.verified] == ["nhanes_l1_l4_female"]
