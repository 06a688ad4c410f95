"""lumbar_truth.csv and the CT beside it -> crops of real vertebrae with their hand-made reference.

The reference is what a person measured: centre, end plates and trabecular region (`lumbar_truth.csv`), and the depth of
the body (`body_depth.csv`). None of it comes from the network or from the localiser.
"""

import csv
import gzip
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from screening.archive.folder import files_below
from screening.archive.header import read_header
from screening.archive.index import Series
from screening.imaging.hounsfield import Volume, read_volume
from screening.imaging.lumbar import Vertebra
from screening.imaging.model_input import InputSpec, crops, kvp_scale

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared" / "data"
DEPTHS = Path(__file__).parent / "body_depth.csv"
BUNDLED_COPIES = {"TS_example": REPOSITORY / "screening" / "demo_data" / "totalsegmentator_example"}
"""The same voxels as DICOM."""

CROP_PX = 96
DISC_BELOW_MM = 4.5  # from the lower end plate to the middle of the disc: half of a usual disc of 9 mm
MEASURED = ("L1", "L2", "L3", "L4")
NIFTI_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 512: "u2"}
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])

Crop = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RealBody:
    """One real vertebra."""

    patient: str
    level: str
    slabs_hu: Crop  # (slabs, 96, 96) at 1.25 mm, HU at 120 kVp, as the sweep cuts them
    disc_hu: Crop  # (1 or 0, 96, 96): the disc below, where the scan reaches it
    roi_hu: float  # hand-drawn trabecular region
    depth_mm: float  # outer cortex to outer cortex, midline; NaN where nobody measured it
    enhanced: str


def read_bodies() -> list[RealBody]:
    """Read every whole vertebra that has a centre and a region."""
    depths = read_depths()
    return [_body(row, depths) for row in truth_rows()]


def truth_rows() -> Iterator[dict[str, str]]:
    """Yield the vertebrae that are not cut by the edge of the scan."""
    with (SHARED / "lumbar_truth.csv").open() as file:
        for row in csv.DictReader(file):
            if row["z_centre_mm"] and row["roi_hu_mean"]:
                yield row


def read_depths() -> dict[tuple[str, str], float]:
    """Depth of each body, mm."""
    if not DEPTHS.exists():
        return {}
    with DEPTHS.open() as file:
        return {(row["series_key"], row["level"]): float(row["depth_mm"]) for row in csv.DictReader(file)}


def vertebra_of(row: dict[str, str]) -> Vertebra:
    """Place and end plates as the localiser would give them."""
    x, y, z, top, bottom = (float(row[name]) for name in ("x_mm", "y_mm", "z_centre_mm", "z_top_mm", "z_bottom_mm"))
    return Vertebra(row["level"], (x, y, z), top, bottom, 1.0)


@cache
def volume_of(series_key: str, path: str) -> Volume:
    """Read one series of the development set."""
    if series_key in BUNDLED_COPIES:
        return read_series(BUNDLED_COPIES[series_key])
    folder = SHARED / path
    images = sorted(folder.rglob("*_ct.nii.gz"))
    return read_nifti(images[0]) if images else read_series(folder)


def read_series(folder: Path) -> Volume:
    """Read a folder that holds one DICOM series."""
    instances = [read_header(file) for file in files_below(folder) if file.path.suffix == ".dcm"]
    return read_volume(Series(instances[0].series_instance_uid, tuple(instances)))


def read_nifti(path: Path) -> Volume:
    """Read a NIfTI-1 image whose axes run along the patient's (NIfTI-1 standard, sform)."""
    content = gzip.decompress(path.read_bytes())
    shape = struct.unpack_from("<8h", content, 40)[1:4]
    kind = NIFTI_TYPES[struct.unpack_from("<h", content, 70)[0]]
    start, slope, intercept = struct.unpack_from("<3f", content, 108)
    affine = np.array(struct.unpack_from("<12f", content, 280)).reshape(3, 4) * RAS_TO_LPS[:, None]
    voxels = np.frombuffer(content, "<" + kind, int(np.prod(shape)), int(start)).reshape(shape, order="F")
    hu = voxels * (slope or 1.0) + intercept
    order = [int(np.argmax(np.abs(affine[axis, :3]))) for axis in (2, 1, 0)]  # z, y, x
    hu, corner = np.transpose(hu, order), np.zeros(3)
    axes = affine[:, order].T
    for axis, component in enumerate((2, 1, 0)):
        if axes[axis, component] < 0:
            hu = np.flip(hu, axis)
            corner += (hu.shape[axis] - 1) * axes[axis]
            axes[axis] = -axes[axis]
    spacing = np.linalg.norm(axes, axis=1)
    return Volume(
        hu=np.clip(np.rint(hu), -1024, 3071).astype(np.int16),
        spacing_mm=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        origin_mm=tuple(float(mm) for mm in affine[:, 3] + corner),  # type: ignore[arg-type]
        axes=axes / spacing[:, None],
        slice_thickness_mm=float(spacing[0]),
        kvp_kv=None,
    )


def _body(row: dict[str, str], depths: dict[tuple[str, str], float]) -> RealBody:
    volume, vertebra = volume_of(row["series_key"], row["path"]), vertebra_of(row)
    factor = kvp_scale(volume.kvp_kv).factor
    return RealBody(
        patient=row["series_key"],
        level=row["level"],
        slabs_hu=crops(volume, vertebra, InputSpec(size_px=CROP_PX), factor).hu,
        disc_hu=_disc(volume, vertebra, factor),
        roi_hu=float(row["roi_hu_mean"]) * factor,
        depth_mm=depths.get((row["series_key"], row["level"]), float("nan")),
        enhanced=row["contrast"],
    )


def _disc(volume: Volume, vertebra: Vertebra, factor: float) -> Crop:
    x, y, _ = vertebra.centre_mm
    z = vertebra.lower_z_mm - DISC_BELOW_MM
    if volume.index(np.array([x, y, z]))[0] < 0:
        return np.empty((0, CROP_PX, CROP_PX), dtype=np.float32)
    place = Vertebra(vertebra.level, (x, y, z), z + 1.0, z - 1.0, 1.0)
    return crops(volume, place, InputSpec(size_px=CROP_PX, slabs_per_level=1), factor).hu
