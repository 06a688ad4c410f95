import numpy as np
import pytest

from screening.simulation.cohort import AGE_LIMITS_YEARS, draw_patient, expected_attenuation_hu


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
