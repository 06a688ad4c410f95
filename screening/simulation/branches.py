"""One patient's stream of deviations -> independent generators for its parts."""

from enum import IntEnum

from numpy.random import Generator

from screening.simulation.cohort import Patient, Stream


class Branch(IntEnum):
    """Parts of the stream; draws of one leave the others alone. Append only."""

    FINDINGS = 0
    SHAPES = 1
    SURROUNDINGS = 2


def branch_rng(patient: Patient, branch: Branch) -> Generator:
    """Return the generator of one part."""
    return patient.rng(Stream.PATHOLOGY).spawn(branch + 1)[branch]
