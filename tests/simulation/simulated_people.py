"""Simulated bodies that several tests share."""

from dataclasses import replace
from functools import lru_cache
from itertools import count

import numpy as np

from screening.simulation.anatomy import Anatomy, draw_anatomy
from screening.simulation.cohort import MG_CM3_PER_HU, draw_patient
from screening.simulation.densitometer import LevelTruth, measure_levels
from screening.simulation.findings import Finding
from screening.simulation.lattice import sampling
from screening.simulation.outlines import ANGLES, Wall
from screening.simulation.spine import render_spine
from screening.simulation.vertebrae import VertebraShape


def body_of(number: int, *, seed: int = 5) -> Anatomy:
    return draw_anatomy(draw_patient(seed, 1, number))


def levels_of(number: int, *, seed: int = 5) -> tuple[LevelTruth, ...]:
    anatomy = body_of(number, seed=seed)
    return measure_levels(anatomy.spine, anatomy.vessels.calcium)


@lru_cache
def frail_body_with(finding: Finding) -> tuple[Anatomy, VertebraShape]:
    """The first of many old people with bone of 60 HU who shows a finding, and the first vertebra that shows it."""
    for number in count(1):
        anatomy = draw_anatomy(replace(draw_patient(5, 1, number), age_years=80.0, attenuation_hu=60.0))
        for vertebra in anatomy.spine.vertebrae:
            if finding in vertebra.findings:
                return anatomy, vertebra
    raise AssertionError


def attenuation_at(anatomy: Anatomy, vertebra: VertebraShape, own_mm: tuple[float, float, float]) -> float:
    """HU at 120 kVp of the millimetre around a point given in a vertebra's own axes."""
    x, y, z = np.array(vertebra.centre_mm) + np.array(own_mm) @ vertebra.axes
    tissue = render_spine(anatomy.spine, sampling(np.array([x]), np.array([y]), np.array([z]), 1.0, 1.0))
    return float((tissue.soft_hu + tissue.mineral_mg / MG_CM3_PER_HU).item())


def upright_cylinder(*, radius_mm: float, height_mm: float, cancellous_mg: float, shell_mg: float) -> VertebraShape:
    """A body whose volume and mineral are known from a formula; shell and end plates 1.2 mm."""
    plain = body_of(1).spine.level("L3")
    return replace(
        plain,
        centre_mm=(0.3, -0.4, 0.2),
        axes=np.eye(3, dtype=np.float32),
        height_mm=height_mm,
        outline_mm=np.full(ANGLES, radius_mm, np.float32),
        outline_cosine=np.ones(ANGLES, np.float32),
        upper_rim_mm=np.zeros(ANGLES, np.float32),
        lower_rim_mm=np.zeros(ANGLES, np.float32),
        wall=Wall(np.zeros(ANGLES, np.float32), np.ones(ANGLES, np.float32), 0.0),
        concavity_mm=(0.0, 0.0),
        wedge=0.0,
        cortex_mm=1.2,
        cortex_mg=shell_mg,
        end_plate_mm=1.2,
        end_plate_mg=shell_mg,
        cancellous_mg=cancellous_mg,
        end_plate_gain=0.0,
        texture=(0.0, 0.0),
        vein_mm=0.0,
        islands=(),
        sclerosis=(),
        cement=None,
        marrow_hu=0.0,
    )
