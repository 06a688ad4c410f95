"""Gates of the committed weights on real CT: the development set where it is at hand, the bundled crops always.

Weights trained with re-densified CT have seen these patients at other densities; `ablation.py` measures what networks
read in patients that were left out.
"""

import numpy as np
import pytest
from real_ct import DEPTHS, MEASURED, SHARED, RealBody, read_bodies, read_depths
from transfer import Row, evaluate, line_slope, main, summarise

from screening.prediction.inference import load_predictor
from screening.simulation.redensified import BUNDLED
from screening.simulation.redensified import read_bodies as read_bundled

needs_shared = pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")


def bundled_bodies() -> list[RealBody]:
    """The bundled crops L1-L4, whose slices are rounded to 4 HU."""
    bundled = read_bundled(BUNDLED)
    bodies = []
    for vertebra in np.unique(bundled.vertebra):
        own = bundled.vertebra == vertebra
        bodies.append(
            RealBody(
                patient=str(bundled.patient[own][0]),
                level=str(bundled.level[own][0]),
                slabs_hu=bundled.crops_hu[own & bundled.is_body],
                disc_hu=bundled.crops_hu[own & ~bundled.is_body],
                roi_hu=float(bundled.roi_hu[own][0]),
                depth_mm=float(bundled.depth_mm[own][0]),
                enhanced="",
            )
        )
    return [body for body in bodies if body.level in MEASURED]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return evaluate(load_predictor(device="cpu"), bundled_bodies())


def test_bundled_bodies_are_read_as_the_physics_says(rows):
    summary = summarise(rows)

    assert summary.n == 18
    assert summary.rmse <= 0.04
    assert 0.9 <= summary.slope <= 1.1


def test_density_set_inside_bundled_bodies_is_read(rows):
    assert 0.9 <= summarise(rows).counterfactual_hu <= 1.1


def test_bundled_bodies_hardly_change_when_moved_turned_or_noisy(rows):
    summary = summarise(rows)

    assert summary.shift_change <= 0.012
    assert summary.rotation_change <= 0.01
    assert summary.noise_change <= 0.01


def test_discs_are_told_from_bodies_by_their_uncertainty(rows):
    assert summarise(rows).disc_auc >= 0.98


@needs_shared
def test_every_gate_holds_on_the_development_set(capsys):
    status = main([])

    assert capsys.readouterr().out.count("(missed)") == 0
    assert status == 0


@needs_shared
def test_every_whole_vertebra_of_the_development_set_has_a_depth():
    assert {(body.patient, body.level) for body in read_bodies()} == set(read_depths())
    assert DEPTHS.read_text().count("\n") == 31


def test_bodies_of_one_colour_read_the_change_that_was_made():
    assert line_slope([-54.0, -27.0, 27.0, 54.0]) == pytest.approx(0.9)
