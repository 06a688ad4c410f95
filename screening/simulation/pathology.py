"""Patient -> what deviates from the ordinary spine: its branch of random draws."""

from enum import IntEnum

from numpy.random import Generator

from screening.simulation.cohort import Patient, Stream


class Branch(IntEnum):
    """Independent parts of one patient's stream of deviations."""

    FINDINGS = 0
    SHAPES = 1
    SURROUNDINGS = 2


def branch_rng(patient: Patient, branch: Branch) -> Generator:
    """Return the generator of one part; draws of one part leave the others alone."""
    return patient.rng(Stream.PATHOLOGY).spawn(len(Branch))[branch]
