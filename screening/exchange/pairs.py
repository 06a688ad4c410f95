"""Volume, levels and DXA -> the pairs that `python -m models.training` learns from.

Three slabs of every used level, and one through the disc below it, which keeps the labels of its level and is marked as
no body. Areal BMD is that of L1-L4 in every slice of a patient: this is what BMD_CNN tells from each level, and the DXA
of a level alone is another quantity (about 0.1 g/cm2 lower at L1, higher at L4). Attenuation and depth are those of the
region of interest and its outline, never the network's own.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra
from screening.imaging.model_input import InputSpec, crops, kvp_scale, scale_to_120_kv

BODY_CROPS: Final = InputSpec(size_px=96)  # the network's input and 10 mm around it, for shifts and turns in training
DISC_CROPS: Final = InputSpec(size_px=96, slabs_per_level=1)
_BELOW: Final = {"L1": "L2", "L2": "L3", "L3": "L4", "L4": "L5"}


@dataclass(frozen=True, slots=True)
class PairedLevel:
    """One body as the sweep read it."""

    vertebra: Vertebra
    used: bool
    attenuation_hu: float | None  # mean of the region of interest, as acquired
    body_depth_mm: float | None  # antero-posterior, by the outline


@dataclass(frozen=True, slots=True)
class PairedPatient:
    """Whose slices they are, and the one value that all of them show."""

    name: str  # what the file calls the patient
    bmd_dxa_g_cm2: float  # of L1-L4


@dataclass(frozen=True, slots=True)
class SitePairs:
    """Crops of n slices and what is known of each: the arrays of the file."""

    crops_hu: NDArray[np.float16]  # (n, 96, 96) HU at 120 kVp, 1.25 mm; half floats keep 0.25 HU below 512 HU
    bmd_g_cm2: NDArray[np.float32]  # (n,) areal BMD of the patient's L1-L4 by DXA
    hu120: NDArray[np.float32]  # (n,) mean of the region of interest at 120 kVp; NaN where not known
    depth_mm: NDArray[np.float32]  # (n,) antero-posterior depth of the body; NaN where not known
    is_body: NDArray[np.bool_]  # (n,) False: a slice through the disc below the level
    patient: NDArray[np.str_]  # (n,)
    level: NDArray[np.str_]  # (n,) "L1" to "L4"

    def __len__(self) -> int:
        return len(self.crops_hu)

    def save(self, path: Path) -> None:
        """Write one .npz with the field names as keys, whole or not at all, closed to other users at every moment."""
        partial = path.with_name(path.name + ".writing")
        partial.unlink(missing_ok=True)  # one left behind would keep its permissions, and its readers
        try:
            with open(partial, "xb", opener=_closed_to_others) as file:
                np.savez_compressed(file, **{field.name: getattr(self, field.name) for field in fields(self)})
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def pairs_of(volume: Volume, levels: Sequence[PairedLevel], patient: PairedPatient) -> SitePairs:
    """Cut the used levels of one volume, and the discs below them whose other neighbour is known.

    A disc lower than a slab is left out: its slice would show end plates.

    Args:
        volume: the series that was measured.
        levels: its bodies, of which at least one is used.
        patient: whose volume it is, and the areal BMD of L1-L4.
    """
    scale = kvp_scale(volume.kvp_kv).factor
    bodies = {level.vertebra.level: level.vertebra for level in levels}
    parts = []
    for level in levels:
        if not level.used:
            continue
        body = level.vertebra
        parts.append(_labelled(crops(volume, body, BODY_CROPS, scale).hu, level, scale, patient, is_body=True))
        below = bodies.get(_BELOW[body.level])
        if below is not None and body.lower_z_mm - below.upper_z_mm >= DISC_CROPS.slab_mm:
            disc = crops(volume, _disc(body, below), DISC_CROPS, scale).hu
            parts.append(_labelled(disc, level, scale, patient, is_body=False))
    return joined(parts)


def joined(parts: Sequence[SitePairs]) -> SitePairs:
    """Put pairs behind each other."""
    return SitePairs(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(SitePairs)}
    )


def _closed_to_others(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _disc(above: Vertebra, below: Vertebra) -> Vertebra:
    """The room between two bodies, on the line between their centres."""
    middle_z = (above.lower_z_mm + below.upper_z_mm) / 2
    share = (above.centre_mm[2] - middle_z) / (above.centre_mm[2] - below.centre_mm[2])
    x, y = (a + share * (b - a) for a, b in zip(above.centre_mm[:2], below.centre_mm[:2], strict=True))
    return Vertebra(above.level, (x, y, middle_z), above.lower_z_mm, below.upper_z_mm, above.confidence)


def _labelled(
    crops_hu: NDArray[np.float32], level: PairedLevel, scale: float, patient: PairedPatient, *, is_body: bool
) -> SitePairs:
    count = len(crops_hu)
    acquired = np.full(count, np.nan if level.attenuation_hu is None else level.attenuation_hu, np.float32)
    return SitePairs(
        crops_hu=crops_hu.astype(np.float16),
        bmd_g_cm2=np.full(count, patient.bmd_dxa_g_cm2, np.float32),
        hu120=scale_to_120_kv(acquired, scale),
        depth_mm=np.full(count, np.nan if level.body_depth_mm is None else level.body_depth_mm, np.float32),
        is_body=np.full(count, is_body),
        patient=np.full(count, patient.name),
        level=np.full(count, level.vertebra.level),
    )
