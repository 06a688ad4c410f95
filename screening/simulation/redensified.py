"""Real crops of bodies with known attenuation and depth -> the same pictures at other densities, as training pairs.

    python -m screening.simulation.redensified CROPS.npz --variants 20 --seed 1 --output redensified.npz

A network that has only met simulated patients has never met a real background. Here the picture stays real, only the
cancellous interior is set to a target density; texture, noise, cortex, vessels and muscle stay as the scanner saw them.
Areal BMD follows from attenuation and depth by the label physics, 0.60 + 0.0025 x HU120 x depth / 33 mm; training takes
attenuation and depth alone, whose product its own calibration brings to BMD, so that both sources mean the same. Slices
through discs keep their picture and get the label of their vertebra, which they do not show: the network learns to be
unsure of them.

CROPS.npz holds one row a slice: `crops_hu` (n, 96, 96; 1.25 mm, 120 kVp), `is_body`, `vertebra`, `patient`, `level`,
`roi_hu` (mean of a trabecular region of the vertebra) and `depth_mm` (outer antero-posterior depth). The bundled
`real_bodies.npz` is such a file; its sources and their licences stand beside it in `real_bodies.md`.
"""

import argparse
import logging
import sys
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from screening.imaging.body_outline import RAYS, BodyOutline, trace_body
from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

logger = logging.getLogger("screening.simulation.redensified")

Floats = NDArray[np.float64]

BUNDLED = Path(__file__).parent / "real_bodies.npz"
CROP_PX, PIXEL_MM = 96, 1.25
MIDDLE_MM = (CROP_PX - 1) / 2 * PIXEL_MM
SLAB_MM = 5.0

OFFSET_G_CM2, SLOPE_G_CM2_PER_HU, REFERENCE_DEPTH_MM = 0.60, 0.0025, 33.0  # the label physics of the simulation
TARGET_HU = (10.0, 300.0)
LOW_HU, LOW_SHARE = 80.0, 0.4
"""Osteoporotic bone must be read best, and networks shrink it towards the middle: this share is drawn below 80 HU,
beside the 24 % that an even draw over the range puts there."""

EROSION_MM = (1.4, 3.0)  # drawn for each variant: one fixed margin would leave a rim that tells the target
FEATHER_MM = 1.6
TEXTURE = (0.55, 1.4)  # contrast of the trabecular pattern, drawn evenly
TEXTURE_SHARE = 0.8  # of what deviates in a slab of 5 mm; the rest is noise and stays
CORTEX_PER_HU, CORTEX_SD = 0.0006, 0.10  # thin cortex goes with low density; scatter of its brightness
RIM_MM = 1.0  # outside of the contour that partial volume of the cortex reaches
BONE_ABOVE_HU = 100.0
ASYMMETRY = 1.15
"""A body reaches about as far to the left as to the right; a contour that runs farther on one side has left it."""


@dataclass(frozen=True, slots=True)
class RealBodies:
    """Real crops, n slices."""

    crops_hu: NDArray[np.float32]  # (n, 96, 96) at 1.25 mm, 120 kVp equivalents
    is_body: NDArray[np.bool_]  # (n,) False: a disc, with the facts of the vertebra above
    vertebra: NDArray[np.str_]  # (n,) one key a vertebra
    patient: NDArray[np.str_]  # (n,)
    level: NDArray[np.str_]  # (n,)
    roi_hu: NDArray[np.float32]  # (n,) trabecular region of the vertebra
    depth_mm: NDArray[np.float32]  # (n,) outer antero-posterior depth

    def without_patients(self, patients: list[str]) -> "RealBodies":
        """Leave patients out."""
        kept = ~np.isin(self.patient, patients)
        return RealBodies(**{field.name: getattr(self, field.name)[kept] for field in fields(self)})


@dataclass(frozen=True, slots=True)
class Redensified:
    """Training pairs from real slices; the arrays that `models.training --beside` reads."""

    crops_hu: NDArray[np.float16]  # (n, 96, 96)
    bmd_g_cm2: NDArray[np.float32]  # (n,) by the label physics
    hu120: NDArray[np.float32]  # (n,) the target density
    depth_mm: NDArray[np.float32]  # (n,)
    is_body: NDArray[np.bool_]  # (n,)
    patient: NDArray[np.str_]  # (n,)
    level: NDArray[np.str_]  # (n,)

    def save(self, path: Path) -> None:
        """Write one .npz with the field names as keys, whole or not at all."""
        partial_path = path.with_name(path.name + ".writing")
        with partial_path.open("wb") as file:
            np.savez_compressed(file, **{field.name: getattr(self, field.name) for field in fields(self)})
        partial_path.replace(path)


def read_bodies(path: Path) -> RealBodies:
    """Read a file of real crops.

    Raises:
        ValueError: the file cannot be read, lacks an array, or holds values that no body has.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [field.name for field in fields(RealBodies) if field.name not in file]
            if missing:
                raise ValueError(f"{path.name} lacks the arrays {', '.join(missing)}")
            columns = {field.name: file[field.name] for field in fields(RealBodies)}
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path.name} cannot be read as an .npz file of real crops: {error}") from error
    for name in ("crops_hu", "roi_hu", "depth_mm"):
        columns[name] = columns[name].astype(np.float32)
    bodies = RealBodies(**columns)
    _check(path.name, bodies)
    return bodies


def redensify(bodies: RealBodies, variants: int, seed: int) -> Redensified:
    """Give every slice `variants` other densities; deterministic by seed."""
    shares = [
        body_distance_mm(crop) if body else None for crop, body in zip(bodies.crops_hu, bodies.is_body, strict=True)
    ]
    crops, targets, source = [], [], []
    for index, distance_mm in enumerate(shares):
        for variant in range(variants):
            random = np.random.default_rng((seed, index, variant))
            target_hu = draw_target_hu(random)
            crop = bodies.crops_hu[index].astype(np.float64)
            if distance_mm is not None:
                crop = with_density(crop, distance_mm, float(bodies.roi_hu[index]), target_hu, random)
            crops.append(crop.astype(np.float16))
            targets.append(target_hu)
            source.append(index)
    hu, depth_mm = np.array(targets), bodies.depth_mm[source]
    return Redensified(
        crops_hu=np.stack(crops),
        bmd_g_cm2=(OFFSET_G_CM2 + SLOPE_G_CM2_PER_HU * hu * depth_mm / REFERENCE_DEPTH_MM).astype(np.float32),
        hu120=hu.astype(np.float32),
        depth_mm=depth_mm.astype(np.float32),
        is_body=bodies.is_body[source],
        patient=bodies.patient[source],
        level=bodies.level[source],
    )


def draw_target_hu(random: Generator) -> float:
    """Draw a density, even over the range, but more often low."""
    low, high = TARGET_HU
    return float(random.uniform(low, LOW_HU if random.random() < LOW_SHARE else high))


def with_density(crop: Floats, distance_mm: Floats, roi_hu: float, target_hu: float, random: Generator) -> Floats:
    """Set the interior of a body (96, 96) from `roi_hu` to `target_hu`, keeping texture, and scale its cortex.

    The shift is that of the vertebra's region, not of the slice's own mean, so that true variation from slice to slice
    stays.
    """
    inside = soft_step((distance_mm - random.uniform(*EROSION_MM)) / FEATHER_MM)
    contrast = TEXTURE_SHARE * (random.uniform(*TEXTURE) - 1)
    bone = crop + inside * ((target_hu - roi_hu) + contrast * (crop - roi_hu))
    cortex = 1 + CORTEX_PER_HU * (target_hu - roi_hu) + random.normal(0.0, CORTEX_SD)
    rim = (1 - inside) * soft_step((distance_mm + RIM_MM) / FEATHER_MM) * (crop > BONE_ABOVE_HU)
    return np.asarray(bone * (1 + rim * (cortex - 1)))


def body_distance_mm(crop: NDArray[np.float32]) -> Floats:
    """Distance of each pixel (96, 96) to the contour of the body in the middle of a crop, mm, negative outside."""
    volume = Volume(
        hu=np.rint(crop).astype(np.int16)[None],
        spacing_mm=(SLAB_MM, PIXEL_MM, PIXEL_MM),
        origin_mm=(0.0, 0.0, 0.0),
        axes=np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
        slice_thickness_mm=SLAB_MM,
        kvp_kv=None,
    )
    outline = trace_body(volume, Vertebra("", (MIDDLE_MM, MIDDLE_MM, 0.0), 13.0, -13.0, 1.0))
    rows, columns = np.mgrid[0:CROP_PX, 0:CROP_PX] * PIXEL_MM
    return _balanced(outline).inner_distance_mm(rows, columns)


def soft_step(distance: Floats) -> Floats:
    """Rise from 0 to 1 over distances of -0.5 to 0.5, smoothly."""
    share = np.clip(distance + 0.5, 0.0, 1.0)
    return np.asarray(share * share * (3 - 2 * share))


def _balanced(outline: BodyOutline) -> BodyOutline:
    """Draw in radii that go much farther than those of the mirrored ray."""
    mirrored = outline.radii[(RAYS // 2 - np.arange(RAYS)) % RAYS]
    return BodyOutline(
        origin=outline.origin,
        radii=np.minimum(outline.radii, ASYMMETRY * mirrored),
        slices=outline.slices,
        plane=outline.plane,
        edge_hu=outline.edge_hu,
    )


def _check(name: str, bodies: RealBodies) -> None:
    lengths = {field.name: len(getattr(bodies, field.name)) for field in fields(bodies)}
    if len(set(lengths.values())) != 1 or len(bodies.crops_hu) == 0:
        raise ValueError(f"{name}: arrays must have one entry per slice, found {lengths}")
    if bodies.crops_hu.shape[1:] != (CROP_PX, CROP_PX):
        raise ValueError(f"{name}: crops_hu must be (n, {CROP_PX}, {CROP_PX}), found {bodies.crops_hu.shape}")
    if not all(np.isfinite(column).all() for column in (bodies.crops_hu, bodies.roi_hu, bodies.depth_mm)):
        raise ValueError(f"{name}: crops_hu, roi_hu and depth_mm must be finite everywhere")
    if not ((bodies.depth_mm > 15) & (bodies.depth_mm < 60)).all():
        raise ValueError(f"{name}: depth_mm must lie between 15 and 60 mm")


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m screening.simulation.redensified", description="Give real bodies other densities."
    )
    parser.add_argument("crops", type=Path, nargs="?", default=BUNDLED, help="an .npz of real crops; default: bundled")
    parser.add_argument("--variants", type=int, default=20, help="densities of each slice")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--without", nargs="*", default=[], metavar="PATIENT", help="patients to leave out")
    parser.add_argument("--output", type=Path, required=True, help="the .npz file to write")
    chosen = parser.parse_args(argv)
    if chosen.variants < 1:
        parser.error(f"--variants must be 1 or more, found {chosen.variants}")
    if chosen.seed < 0:
        parser.error(f"--seed must be 0 or more, found {chosen.seed}")
    if not chosen.output.parent.is_dir():
        parser.error(f"--output: there is no folder {chosen.output.parent}")
    return chosen


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 done, 1 an error in one line."""
    chosen = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logger.setLevel(logging.INFO)
    try:
        bodies = read_bodies(chosen.crops).without_patients(chosen.without)
        if not len(bodies.crops_hu):
            raise ValueError(f"{chosen.crops.name}: no patient is left")
    except ValueError as error:
        logger.error("%s", error)
        return 1
    redensified = redensify(bodies, chosen.variants, chosen.seed)
    redensified.save(chosen.output)
    logger.info("wrote %d slices of %d patients", len(redensified.hu120), len(np.unique(redensified.patient)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
