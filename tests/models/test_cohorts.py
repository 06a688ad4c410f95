from dataclasses import replace

import numpy as np
import pytest

from models import cohorts
from models.cohorts import OF_PATIENTS, OF_SLICES, Simulated, read_cohort, simulate

TWO = Simulated(institution=2, patients=2, first=9)


def test_the_simulation_is_called_and_its_patients_are_read(tmp_path):
    cohort = simulate(TWO, seed=3, work=tmp_path, processes=1)

    assert np.unique(cohort.pairs.patient).tolist() == ["10", "9"]
    assert len(cohort.bmd_dxa_g_cm2) == len(cohort.bmd_true_g_cm2) == 2
    assert {len(getattr(cohort, name)) for name in OF_PATIENTS} == {2}
    assert {len(getattr(cohort, name)) for name in OF_SLICES} == {len(cohort.pairs)}
    assert set(cohort.sex) <= {"F", "M"}
    assert cohort.bmd_dxa_g_cm2 == pytest.approx(cohort.bmd_true_g_cm2, rel=0.05)


def test_patients_keep_their_own_bmd_in_the_order_of_their_names(tmp_path):
    cohort = simulate(TWO, seed=3, work=tmp_path, processes=1)

    levels_of_ten = cohort.pairs.bmd_g_cm2[cohort.pairs.patient == "10"]
    assert levels_of_ten.min() < cohort.bmd_true_g_cm2[0] < levels_of_ten.max()


def test_patients_that_are_there_are_not_simulated_again(tmp_path, monkeypatch):
    first = simulate(TWO, seed=3, work=tmp_path, processes=1)
    monkeypatch.setattr(cohorts, "SIMULATION", "no.such.module")

    again = simulate(TWO, seed=3, work=tmp_path, processes=1)

    assert np.array_equal(again.pairs.crops_hu, first.pairs.crops_hu)
    with pytest.raises(ValueError, match="failed with exit status 1"):
        simulate(TWO, seed=4, work=tmp_path, processes=1)


def test_contours_are_read_where_they_are_asked_for(tmp_path):
    one = Simulated(institution=2, patients=1, first=9)

    blind = simulate(one, seed=3, work=tmp_path, processes=1)
    seeing = simulate(replace(one, contours=True), seed=3, work=tmp_path, processes=1)

    assert np.isnan(blind.contour_hu).all()
    assert np.isfinite(seeing.contour_hu[seeing.pairs.is_body]).all()
    assert np.array_equal(blind.pairs.crops_hu, seeing.pairs.crops_hu)


def test_pairs_without_dxa_are_refused(tmp_path, pairs):
    path = tmp_path / "old.npz"
    np.savez(path, **{name: getattr(pairs, name) for name in pairs.__dataclass_fields__})

    with pytest.raises(ValueError, match="lacks the arrays roi_hu, contour_hu, .* bmd_true_g_cm2, bmd_dxa_g_cm2"):
        read_cohort(path)
