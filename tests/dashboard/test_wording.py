"""The words readers see."""

from datetime import date, datetime

import pytest

from dashboard import wording
from screening.errors import Exclusion
from screening.prediction.tscore import Category


@pytest.mark.parametrize("exclusion", list(Exclusion))
def test_every_exclusion_has_words(exclusion: Exclusion) -> None:
    assert wording.reason(exclusion.value) == wording.EXCLUSIONS[exclusion]


def test_failure_keeps_its_exception_type() -> None:
    assert wording.reason("ValueError") == "ValueError"


@pytest.mark.parametrize("category", list(Category))
def test_no_category_reads_as_a_verdict(category: Category) -> None:
    assert wording.CATEGORIES[category].startswith(("T ", "−2.5 < T"))
    assert "normal" not in wording.CATEGORIES[category].lower()


def test_unflagged_reads_not_flagged() -> None:
    assert wording.BANDS["not_flagged"] == "Not flagged"


def test_criterion_states_the_limit_in_force() -> None:
    limits = {"minimum_age_years": 55, "look_back_months": 24, "as_of_date": "2026-03-01"}

    assert wording.criterion("old_enough", limits) == "At least 55 years old at the CT"
    assert wording.criterion("no_dxa_in_look_back", limits) == "No central DXA in the 24 months before 2026-03-01"


def test_unverified_reference_says_so() -> None:
    assert "not verified" in wording.reference("hologic_l1_l4_female")
    assert "not verified" not in wording.reference("nhanes_l1_l4_female")
    assert wording.reference("site_own") == "site own"


def test_missing_values_read_as_a_dash() -> None:
    assert wording.day(None) == wording.moment(None) == wording.clock(None) == wording.MISSING
    assert wording.number(None, ".1f") == wording.plain(None) == wording.verbatim("") == wording.MISSING


def test_times_say_that_they_are_utc() -> None:
    assert wording.moment(datetime(2026, 3, 1, 4, 5)) == "2026-03-01 04:05 UTC"
    assert wording.clock(datetime(2026, 3, 1, 4, 5)) == "04:05 UTC"
    assert wording.day(date(2026, 3, 1)) == "2026-03-01"


def test_negative_numbers_carry_a_minus_sign() -> None:
    assert wording.number(-2.5, ".2f") == "−2.50"


def test_header_text_is_shown_as_it_is() -> None:
    assert wording.verbatim("CT_ABD *w/o* :red[x]") == r"CT\_ABD \*w/o\* \:red\[x\]"


def test_what_a_header_does_not_state_is_left_out() -> None:
    assert wording.stated("Abdomen", None, "", wording.with_unit(2.5, "mm"), between=", ") == "Abdomen, 2.5 mm"
    assert wording.stated(None, wording.with_unit(float("nan"), "kVp"), between=", ") == "—"
