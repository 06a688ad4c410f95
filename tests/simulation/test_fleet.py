from datetime import timedelta

import numpy as np
import pytest

from screening.simulation.fleet import CALIBRATION_DAYS, MACHINE_GAIN_SD, MODEL_GAIN_SD, fleet, fleet_of


def test_a_scanner_keeps_its_calibration_for_all_its_patients():
    assert fleet(1, 1) == fleet(1, 1)
    assert fleet(1, 1) != fleet(2, 1)
    assert all(abs(scanner.mineral_gain - 1.0) < 0.1 and abs(scanner.offset_hu) < 12.0 for scanner in fleet(1, 1))


def test_models_lie_within_ten_per_cent_and_machines_of_a_model_closer():
    gains = np.array([[scanner.mineral_gain for scanner in fleet(seed, 2)] for seed in range(200)])
    assert gains.mean() == pytest.approx(1.0, abs=0.005)
    assert gains.std() == pytest.approx(np.hypot(MODEL_GAIN_SD, MACHINE_GAIN_SD), rel=0.12)


def test_institutions_share_no_scanner():
    of_one, of_two = ({(s.model.manufacturer, s.model.model) for s in fleet(1, place)} for place in (1, 2))
    stations = [{s.station for s in fleet(1, place)} for place in (1, 2)]
    assert not of_one & of_two
    assert not stations[0] & stations[1]


def test_water_drifts_down_until_the_next_calibration():
    scanner = fleet(1, 1)[0]
    fresh = scanner.offset_on(scanner.calibrated_on)
    year_later = scanner.offset_on(scanner.calibrated_on + timedelta(days=365))
    assert fresh == scanner.offset_hu
    assert -2.29 <= year_later - fresh <= -0.54
    assert scanner.offset_on(scanner.calibrated_on + timedelta(days=CALIBRATION_DAYS)) == fresh


@pytest.mark.parametrize("institution", [1, 2])
def test_shares_of_a_fleet_are_of_all_examinations(institution):
    found = fleet_of(institution)
    assert sum(found.model_shares) == pytest.approx(1.0)
    assert sum(found.voltage_shares) == pytest.approx(1.0)
    assert sum(found.thickness_shares) == pytest.approx(1.0)


def test_an_institution_without_a_fleet_examines_with_that_of_the_first():
    assert fleet_of(3) == fleet_of(1)
