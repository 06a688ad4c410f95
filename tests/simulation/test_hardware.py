from dataclasses import replace

import numpy as np
from simulated_people import body_of

from screening.simulation.anatomy import render_slab
from screening.simulation.cohort import draw_patient
from screening.simulation.hardware import METAL_HU, ROD_RADIUS_MM, SCREW_RADIUS_MM, bars_of
from screening.simulation.scanner import draw_protocol, reconstruct, scan

INSTRUMENTED = replace(body_of(1), spine=replace(body_of(1).spine, instrumented=("L4", "L5")))


def test_two_levels_are_held_by_four_screws_with_heads_and_two_rods():
    radii = [bar.radius_mm for bar in bars_of(INSTRUMENTED.spine)]
    assert radii.count(SCREW_RADIUS_MM) == 4
    assert radii.count(ROD_RADIUS_MM) == 2
    assert len(radii) == 10


def test_a_spine_without_instruments_holds_no_metal():
    assert bars_of(body_of(1).spine) == ()


def test_screws_run_through_the_pedicles_into_the_body():
    vertebra = INSTRUMENTED.spine.level("L4")
    screw = bars_of(INSTRUMENTED.spine)[0]
    tip, entry = (vertebra.axes @ (point - np.array(vertebra.centre_mm)) for point in (screw.end_mm, screw.start_mm))
    assert tip[1] > 0.5 * vertebra.depth_mm
    assert entry[1] < 0.0
    assert abs(entry[0]) < abs(tip[0]) < vertebra.posterior.pedicle_gap_mm + 1.0


def test_metal_attenuates_without_mineral():
    x, y, z = bars_of(INSTRUMENTED.spine)[0].start_mm
    slab = render_slab(INSTRUMENTED, np.array([x, x + 0.5]), np.array([y, y + 0.5]), float(z), 1.0)
    assert slab.soft_hu[0, 0] > 0.9 * METAL_HU
    assert slab.mineral_mg[0, 0] < 50.0


def test_a_scanner_clips_metal_at_the_end_of_its_scale():
    patient = draw_patient(5, 1, 1)
    protocol = draw_protocol(patient, INSTRUMENTED, 128)
    height = np.array([bars_of(INSTRUMENTED.spine)[0].end_mm[2]])
    series = reconstruct(
        scan(INSTRUMENTED, protocol, height), protocol, patient, protocol.kernel, np.random.default_rng(0)
    )
    assert series.max() == 3071
