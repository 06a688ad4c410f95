import dataclasses

import numpy as np
import pytest

from screening.simulation.cohort import (
    AGE_LIMITS_YEARS,
    INSTITUTIONS,
    draw_patient,
    expected_attenuation_hu,
    hospital,
)


def test_the_same_seed_draws_the_same_person():
    assert draw_patient(7, 1, 42) == draw_patient(7, 1, 42)


@pytest.mark.parametrize("other", [(8, 1, 42), (7, 2, 42), (7, 1, 43)])
def test_seed_institution_and_number_each_change_the_person(other):
    assert draw_patient(*other).attenuation_hu != draw_patient(7, 1, 42).attenuation_hu


def test_the_identifier_says_that_the_patient_is_simulated():
    assert draw_patient(7, 2, 42).patient_id == "SIM2-000042"


@pytest.mark.parametrize(("age", "sex", "hu"), [(50, "F", 169), (50, "M", 159), (70, "F", 118), (70, "M", 126)])
def test_attenuation_by_age_and_sex_follows_the_published_density(age, sex, hu):
    # vBMD 143.6 / 135.1 mg/cm3 at 50 and 100.8 / 107.7 at 70 years, 0.85 mg/cm3 per HU
    assert expected_attenuation_hu(age, sex) == pytest.approx(hu, abs=1)


def test_people_are_adults_whose_density_falls_with_age():
    people = [draw_patient(3, 1, number) for number in range(400)]
    ages = np.array([person.age_years for person in people])
    attenuation = np.array([person.attenuation_hu for person in people])
    assert ages.min() >= AGE_LIMITS_YEARS[0]
    assert ages.max() <= AGE_LIMITS_YEARS[1]
    assert -3.5 < np.polyfit(ages, attenuation, 1)[0] < -1.2  # about 2.5 HU a year, flatter in old age


def test_two_institutions_see_different_people():
    heavier = np.mean([draw_patient(3, 2, number).body_mass_index for number in range(300)])
    lighter = np.mean([draw_patient(3, 1, number).body_mass_index for number in range(300)])
    assert heavier > lighter + 1.0


def test_hospitals_like_an_institution_see_other_people_about_its_own():
    hospitals = [hospital(seed, 1) for seed in range(200)]

    assert hospital(5, 1) == hospitals[5]
    for field, spread in (("mean_age_years", 3.0), ("women_share", 0.1), ("mean_body_mass_index", 1.5)):
        seen = np.array([getattr(one, field) for one in hospitals])
        assert seen.mean() == pytest.approx(getattr(INSTITUTIONS[1], field), abs=spread / 4)
        assert seen.std() == pytest.approx(spread, rel=0.25)


def test_people_of_a_hospital_are_as_its_own_figures_say():
    women_only = dataclasses.replace(INSTITUTIONS[1], women_share=1.0, mean_age_years=80.0)

    people = [draw_patient(3, 1, number, women_only) for number in range(100)]

    assert {person.sex for person in people} == {"F"}
    assert np.mean([person.age_years for person in people]) > 73.0  # cut off at 90
