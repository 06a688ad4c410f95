"""Scales of manufacturers, osteoporosis by DXA, and what patients have in common."""

import numpy as np
import pandas as pd
import pytest

from screening.errors import UserError
from screening.pairing import pairs_on_one_scale
from screening.prediction.tscore import REFERENCES
from screening.validation_settings import ValidationSettings

HOLOGIC_SCALE = "simulated DXA, Hologic-type L1-L4 scale"


def rows(**columns):
    """Pairs of one kind but for the columns given, each with a value a pair."""
    n = len(next(iter(columns.values())))
    same = {
        "study_instance_uid": "2.25.1", "patient_id": "A", "identity_certain": True, "bmd_cnn": 0.8, "bmd_low": 0.7,
        "bmd_high": 0.9, "bmd_dxa": 0.8, "t_score_dxa": np.nan, "dxa_manufacturer": "Hologic",
        "osteoporosis_probability": 0.4, "likely": False, "reference": "hologic_l1_l4_female", "attenuation_hu": 100.0,
        "level_certainty": "certain", "contrast_enhanced": False, "age_years": 70.0, "sex": "F", "ct_month": "2025-03",
        "manufacturer": "ACME", "manufacturer_model_name": "Sim 64", "kvp_kv": 120.0, "convolution_kernel": "B30f",
        "slice_thickness_mm": 2.5,
    }  # fmt: skip
    return pd.DataFrame({name: [value] * n for name, value in same.items()} | columns)


def paired(settings=None, words=HOLOGIC_SCALE, **columns):
    return pairs_on_one_scale(rows(**columns), settings or ValidationSettings(), REFERENCES, words)


def test_lunar_is_brought_to_the_scale_of_hologic():
    found = paired(dxa_manufacturer=["Hologic", "GE", "ge", "Norland"], bmd_dxa=[0.8, 1.0, 1.0, 0.9])

    assert found.scale == "Hologic"
    assert found.bmd_dxa == pytest.approx([0.8, 0.9522 / 1.0755, 0.9522 / 1.0755, 0.9 * 1.0761 / 1.0755])


def test_a_dxa_of_no_known_manufacturer_enters_no_comparison_of_bmd():
    found = paired(dxa_manufacturer=["", "Osteosys"], bmd_dxa=[0.8, 0.8], t_score_dxa=[-2.6, -2.4])

    assert np.isnan(found.bmd_dxa).all()
    assert found.osteoporosis.tolist() == [1, 0]
    assert found.left_out["DXA on a scale that is not known"] == 2


def test_the_site_may_state_a_factor_of_its_own():
    settings = ValidationSettings(standardised_factors={"Osteosys": 0.98})

    assert paired(settings, dxa_manufacturer=["Osteosys"], bmd_dxa=[1.0]).bmd_dxa == pytest.approx([0.98 / 1.0755])


def test_the_scale_is_the_sites_word_then_the_checkpoints_then_that_of_its_t_scores():
    lunar = {"reference": ["lunar_l1_l4_female"]}

    assert paired(ValidationSettings(scale="norland"), **lunar).scale == "Norland"
    assert paired(words="DXA of this site, GE L1-L4 scale", **lunar).scale == "GE"
    assert paired(words=None, **lunar).scale == "GE"
    assert paired(words=None, reference=["japan_l1_l4_hologic"]).scale is None


def test_without_a_scale_no_bmd_is_compared():
    found = paired(words="DXA", reference=["nhanes_l1_l4_female"])

    assert np.isnan(found.bmd_dxa).all()


def test_a_scale_without_a_factor_is_a_message_for_people():
    with pytest.raises(UserError, match="give its factor"):
        paired(ValidationSettings(scale="Osteosys"), bmd_dxa=[0.8])


def test_a_reference_that_is_not_there_is_a_message_for_people():
    with pytest.raises(UserError, match="references names 'nobody'"):
        paired(ValidationSettings(references={"Osteosys": "nobody"}), bmd_dxa=[0.8])


@pytest.mark.parametrize(("t_score", "osteoporosis"), [(-2.51, 1), (-2.50, 1), (-2.49, 0)])
def test_the_reported_t_score_tells_osteoporosis(t_score, osteoporosis):
    assert paired(t_score_dxa=[t_score], bmd_dxa=[1.4]).osteoporosis.tolist() == [osteoporosis]


@pytest.mark.parametrize(
    ("manufacturer", "bmd", "osteoporosis"),
    [
        ("Hologic", 0.771, 1),  # 1.047 - 2.5 * 0.110 = 0.772
        ("Hologic", 0.772, 1),
        ("Hologic", 0.773, 0),
        ("GE", 0.879, 1),  # 1.18 - 2.5 * 0.12 = 0.880
        ("GE", 0.880, 1),
        ("GE", 0.881, 0),
    ],
)
def test_without_a_t_score_the_manufacturers_reference_tells(manufacturer, bmd, osteoporosis):
    assert paired(dxa_manufacturer=[manufacturer], bmd_dxa=[bmd]).osteoporosis.tolist() == [osteoporosis]


def test_a_bmd_of_no_known_manufacturer_tells_nothing():
    found = paired(dxa_manufacturer=[""], bmd_dxa=[0.5])

    assert np.isnan(found.osteoporosis).all()
    assert found.left_out["DXA that does not tell osteoporosis"] == 1


def test_patients_whose_identity_is_not_certain_are_left_out_and_counted():
    found = paired(identity_certain=[True, False, True], study_instance_uid=["a", "b", "c"])

    assert found.study_instance_uid == ["a", "c"]
    assert found.left_out["identity not certain"] == 1


def test_attenuation_is_brought_to_120_kv():
    found = paired(kvp_kv=[120.0, 100.0, 80.0, np.nan], attenuation_hu=[100.0, 100.0, 123.0, 100.0])

    assert found.attenuation_hu120 == pytest.approx([100, 92.7, 100, 100], abs=0.01)


@pytest.mark.parametrize(
    ("age", "band"),
    [(49.99, "below 50 years"), (50.0, "50 to 60 years"), (80.0, "from 80 years"), (np.nan, "unknown")],
)
def test_age_bands_at_their_limits(age, band):
    assert paired(age_years=[age]).groups["age"].tolist() == [band]


def test_bands_keep_their_order_and_what_is_not_known_comes_last():
    ages = paired(age_years=[85.0, np.nan, 45.0, 65.0]).groups["age"]

    assert list(ages.cat.categories) == ["below 50 years", "60 to 70 years", "from 80 years", "unknown"]


def test_what_a_header_lacks_is_unknown():
    found = paired(
        sex=["F", None], manufacturer=["ACME", ""], kvp_kv=[120.0, np.nan], convolution_kernel=["B30f", None]
    )

    assert found.groups["sex"].tolist() == ["F", "unknown"]
    assert found.groups["manufacturer"].tolist() == ["ACME", "unknown"]
    assert found.groups["kvp"].tolist() == ["120 kV", "unknown"]
    assert found.groups["kernel"].tolist() == ["B30f", "unknown"]
    assert found.sex == ["F", "unknown"]
