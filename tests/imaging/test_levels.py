from dataclasses import replace

import numpy as np
import pytest

from screening.imaging.levels import TABLES, decode_levels
from screening.imaging.spine_profiles import SpineProfiles

PITCH_MM = 32.0


def usual(coordinate, name):
    at, low, high = (np.array(part, dtype=float) for part in zip(*TABLES[name], strict=True))
    return (np.interp(coordinate, at, low) + np.interp(coordinate, at, high)) / 2.0


def spine(lowest, highest, known=tuple(TABLES), pitch_mm=PITCH_MM):
    """Profiles of a spine whose level coordinate grows evenly, with the middle of every usual range."""
    coordinate = np.arange(lowest, highest, 1.0 / pitch_mm)
    anatomy = {name: usual(coordinate, name) if name in known else np.full(coordinate.size, np.nan) for name in TABLES}
    rhythm = np.cos(2 * np.pi * coordinate)
    pedicle = np.cos(2 * np.pi * (coordinate - 0.61))
    return coordinate, SpineProfiles(pedicle, rhythm, np.ones(coordinate.size), anatomy)


def middle(path):
    return path[10:-10]


@pytest.mark.parametrize(("lowest", "highest"), [(-0.6, 6.8), (-0.6, 4.2), (1.3, 9.0), (2.4, 12.0)])
def test_the_coordinate_of_a_usual_spine_is_found(lowest, highest):
    coordinate, profiles = spine(lowest, highest)

    levels = decode_levels(profiles)

    assert np.abs(middle(levels.coordinate) - middle(coordinate)).max() < 0.2


@pytest.mark.parametrize("pitch_mm", [27.0, 32.0, 38.0])
def test_small_and_tall_patients_are_named_alike(pitch_mm):
    coordinate, profiles = spine(-0.6, 6.8, pitch_mm=pitch_mm)

    levels = decode_levels(profiles)

    assert np.abs(middle(levels.coordinate) - middle(coordinate)).max() < 0.3


def test_without_any_anatomy_no_name_is_better_than_its_neighbour():
    _, profiles = spine(1.0, 4.0, known=())

    assert decode_levels(profiles).margin.max() < 1.0


def test_with_sacrum_and_ribs_every_other_name_is_far_off():
    _, profiles = spine(-0.9, 7.8)

    levels = decode_levels(profiles)

    assert levels.margin.min() > 5.0
    assert levels.sacral_margin > 1.0
    assert levels.rib_margin > 1.0


def test_ends_that_contradict_each_other_show_in_their_margins():
    coordinate, profiles = spine(-0.9, 7.8)
    profiles.anatomy["rib"][:] = usual(coordinate + 2.0, "rib")

    levels = decode_levels(profiles)

    assert min(levels.sacral_margin, levels.rib_margin) < -2.0


def test_a_steady_rhythm_is_coherent_and_noise_is_not():
    _, steady = spine(-0.6, 6.8)
    noise = replace(steady, endplate=np.random.default_rng(1).normal(size=steady.endplate.size))

    assert decode_levels(steady).coherence > 0.7
    assert decode_levels(noise).coherence < 0.4
