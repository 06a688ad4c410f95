"""Decoded slices -> nothing, or the reason why they cannot be the HU of one patient's trunk.

Header and decoder can both be wrong without saying so: a rescale forgotten or applied twice, bytes swapped, a wrong
signedness, a compressed picture that went astray half way, slices of somebody else. None of them looks like a trunk
that goes on from slice to slice.
"""

import numpy as np
from numpy.typing import NDArray

from screening.errors import Excluded, Exclusion

Slices = NDArray[np.int16]
Bands = NDArray[np.float64]  # (slices, bands of rows)

SAMPLING_STEP_PX = 4  # every fourth row and column is looked at

# Shares of all voxels, loose enough for small patients and lung bases.
MINIMUM_AIR_SHARE = 0.001
MINIMUM_SOFT_TISSUE_SHARE = 0.03
MAXIMUM_DENSE_SHARE = 0.03  # of any one slice
AIR_RANGE_HU = (-1024, -900)
SOFT_TISSUE_RANGE_HU = (-200, 200)
DENSEST_BONE_HU = 1800  # cortical bone reaches about 1800; beyond is metal

# A slice lies between its neighbours: it differs less from either than they differ from each other. On seven real CT
# of 2.5 to 5 mm at most 0.73 times as much; 5 times and more where a slice was another patient's, or from its middle
# on displaced sideways.
MAXIMUM_STRANGENESS = 2.0
BANDS = 4  # of rows, looked at one by one: a picture that goes astray is right above the damage
NOISE_HU = 10.0  # mean difference of neighbours that noise alone may make
# Several strange slices in a row resemble each other, and the first and the last have one neighbour: there the step from
# one slice to the next departs from the median of the steps around. On nine real CT of 1 to 5 mm, head to pelvis, at
# most 1.4 times that median; 5.2 times and more where slices of another patient begin or end.
MAXIMUM_BREAK = 3.0
STEPS_AROUND = 5  # on each side; the body's outline changes with height, over many slices
COMPARED_RANGE_HU = (-1024, 400)  # bone and metal count no more than that


def refuse_implausible(hu: Slices) -> None:
    """Refuse slices (slices, rows, columns), ordered along the patient, that cannot be HU of one trunk.

    Raises:
        Excluded: IMPLAUSIBLE_HU.
    """
    sample = hu[:, ::SAMPLING_STEP_PX, ::SAMPLING_STEP_PX]
    _refuse_blank(sample)
    _refuse_other_scale(sample)
    clipped = np.clip(sample, *COMPARED_RANGE_HU)
    steps = _band_means(np.abs(np.diff(clipped, axis=0)))
    _refuse_strange_slices(clipped, steps)
    _refuse_breaks(steps)


def _refuse_blank(sample: Slices) -> None:
    blank = int(np.sum(sample.max(axis=(1, 2)) == sample.min(axis=(1, 2))))
    if blank:
        raise Excluded(Exclusion.IMPLAUSIBLE_HU, f"{blank} of {len(sample)} slices are blank")


def _refuse_other_scale(sample: Slices) -> None:
    """Refuse numbers that are not spread over air, soft tissue and bone as HU are."""
    air = float(np.mean((sample >= AIR_RANGE_HU[0]) & (sample <= AIR_RANGE_HU[1])))
    soft = float(np.mean((sample >= SOFT_TISSUE_RANGE_HU[0]) & (sample <= SOFT_TISSUE_RANGE_HU[1])))
    dense_by_slice = np.mean(sample > DENSEST_BONE_HU, axis=(1, 2))
    facts = f"air {air:.1%}, soft tissue {soft:.1%}, over {DENSEST_BONE_HU} HU {dense_by_slice.max():.1%}"
    if air < MINIMUM_AIR_SHARE or soft < MINIMUM_SOFT_TISSUE_SHARE or dense_by_slice.max() > MAXIMUM_DENSE_SHARE:
        raise Excluded(Exclusion.IMPLAUSIBLE_HU, facts)


def _refuse_strange_slices(clipped: Slices, steps: Bands) -> None:
    """Refuse slices that do not lie between their neighbours, as a whole or in a band of rows."""
    if len(steps) < 2:
        return
    across = _band_means(np.abs(clipped[2:] - clipped[:-2]))
    strangeness = np.minimum(steps[1:], steps[:-1]) / (across + NOISE_HU)
    strange = int(np.sum(strangeness.max(axis=1) > MAXIMUM_STRANGENESS))
    if strange:
        raise Excluded(
            Exclusion.IMPLAUSIBLE_HU,
            f"{strange} of {len(clipped)} slices unlike both neighbours, by {strangeness.max():.1f}",
        )


def _refuse_breaks(steps: Bands) -> None:
    """Refuse stacks that go on abruptly somewhere, in all rows or in a band of them."""
    if len(steps) < 2:
        return
    breaks = np.array([(step / (_usual_step(steps, place) + NOISE_HU)).max() for place, step in enumerate(steps)])
    abrupt = int(np.sum(breaks > MAXIMUM_BREAK))
    if abrupt:
        raise Excluded(
            Exclusion.IMPLAUSIBLE_HU,
            f"{abrupt} of {len(steps)} steps between slices abrupt, by {breaks.max():.1f}",
        )


def _usual_step(steps: Bands, place: int) -> NDArray[np.float64]:
    """Median of the steps around one of them, itself left out (bands,); as many at the ends as in the middle."""
    first = max(0, min(place - STEPS_AROUND, len(steps) - 2 * STEPS_AROUND - 1))
    around = np.delete(steps[first : first + 2 * STEPS_AROUND + 1], place - first, axis=0)
    usual: NDArray[np.float64] = np.median(around, axis=0)
    return usual


def _band_means(differences: Slices) -> Bands:
    """Mean of each band of rows."""
    bands = np.array_split(differences, BANDS, axis=1)
    return np.stack([band.mean(axis=(1, 2)) for band in bands if band.size], axis=1)
