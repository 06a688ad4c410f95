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

SAMPLED_PX = 128  # rows and columns that are looked at, at least: every fourth of a usual picture

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
# Several strange slices in a row resemble each other, and the first and the last have one neighbour: there one step
# departs from the steps before and behind it. On nine real CT of 1 to 5 mm, head to pelvis and cut anywhere, it was at
# most 1.4 times the greater of these (1.6 with slices left out, to 10 mm); 4.5 times and more (2.9 at 10 mm) where one
# to ten slices of another patient begin or end.
MAXIMUM_BREAK = 2.5
COMPARED_RANGE_HU = (-1024, 400)  # bone and metal count no more than that


def refuse_implausible(hu: Slices) -> None:
    """Refuse slices (slices, rows, columns), ordered along the patient, that cannot be HU of one trunk.

    Raises:
        Excluded: IMPLAUSIBLE_HU.
    """
    every = max(1, min(hu.shape[1:]) // SAMPLED_PX)
    sample = hu[:, ::every, ::every]
    _refuse_blank(sample)
    _refuse_other_scale(sample)
    if len(sample) < 3:
        return
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
    around = np.pad(steps, ((1, 1), (0, 0)))
    breaks = (steps / (np.maximum(around[:-2], around[2:]) + NOISE_HU)).max(axis=1)
    abrupt = int(np.sum(breaks > MAXIMUM_BREAK))
    if abrupt:
        raise Excluded(
            Exclusion.IMPLAUSIBLE_HU, f"{abrupt} of {len(steps)} steps between slices abrupt, by {breaks.max():.1f}"
        )


def _band_means(differences: Slices) -> Bands:
    """Mean of each band of rows."""
    bands = np.array_split(differences, BANDS, axis=1)
    return np.stack([band.mean(axis=(1, 2)) for band in bands if band.size], axis=1)
