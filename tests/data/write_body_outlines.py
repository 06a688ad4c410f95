"""Write the outlines of real vertebral bodies that simulated ones are mixed from.

    python tests/data/write_body_outlines.py FOLDER

FOLDER holds `anatomy/verse004` (github.com/anjany/verse, MIT), `anatomy/malekosh` (MIT), `ct/totalsegmentator_native`
(github.com/wasserth/TotalSegmentator tests, Apache-2.0) and `ct/tptbox_l3_crop` (TPTBox tests, Apache-2.0): label
maps. Needs nibabel. Writes `screening/simulation/body_outlines.json`: shapes and sizes only, no picture.
"""

import json
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

TARGET = Path(__file__).parents[2] / "screening/simulation/body_outlines.json"
LEVELS = ("T11", "T12", "L1", "L2", "L3", "L4", "L5")
VERSE_LABELS = dict(zip(LEVELS, (18, 19, 20, 21, 22, 23, 24), strict=True))
TOTALSEGMENTATOR_LABELS = dict(zip(LEVELS, (33, 32, 31, 30, 29, 28, 27), strict=True))
BODY_SUBREGIONS = (49, 50)  # border and interior of the vertebral body
SAMPLES = 64  # directions of an outline
RAY_STEP_MM, REACH_MM = 0.25, 40.0
ORDERS = 9  # Fourier terms kept: finer detail is the voxels' own
PLANE_MM = {"verse004": (-5.0, -4.0, -3.0)}  # below the pedicles where a map does not part body and arch
MID_PLANES_MM = (-2.0, 0.0, 2.0)
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
ATTRIBUTION = {
    "verse004": "VerSe, github.com/anjany/verse, MIT License",
    "malekosh": "sub-sample001 of malekosh, MIT License",
    "totalsegmentator": "TotalSegmentator test files, github.com/wasserth/TotalSegmentator, Apache License 2.0",
    "tptbox": "TPTBox test files, Apache License 2.0",
}
Mask = NDArray[np.bool_]


def main(source: Path) -> None:
    bodies = [*_verse(source), *_malekosh(source), *_tptbox(source), *_totalsegmentator(source)]
    table = {"attribution": ATTRIBUTION, "samples": SAMPLES, "bodies": bodies}
    text = json.dumps(table, indent=1)
    TARGET.write_text(_numbers_on_one_line(text) + "\n", encoding="utf-8")


def _numbers_on_one_line(text: str) -> str:
    head, *parts = text.split('"outline": [')
    joined = [" ".join(part.split("]", 1)[0].split()) + "]" + part.split("]", 1)[1] for part in parts]
    return '"outline": ['.join([head, *joined])


def _verse(source: Path) -> list[dict[str, Any]]:
    labels, affine = _read(source / "anatomy/verse004/sub-verse004_seg-vert_msk.nii.gz")
    masks = {level: labels == label for level, label in VERSE_LABELS.items()}
    return _measure("verse004", masks, affine, with_arch=True)


def _malekosh(source: Path) -> list[dict[str, Any]]:
    labels, affine = _read(source / "anatomy/malekosh/sub-sample001_seg-vert_msk.nii.gz")
    parts, _ = _read(source / "anatomy/malekosh/sub-sample001_seg-subreg_msk.nii.gz")
    bodies = np.isin(parts, BODY_SUBREGIONS)
    masks = {level: (labels == label) & bodies for level, label in VERSE_LABELS.items()}
    return _measure("malekosh", masks, affine)


def _tptbox(source: Path) -> list[dict[str, Any]]:
    folder = source / "ct/tptbox_l3_crop/sample_ct"
    labels, affine = _read(folder / "sub-ct_seg-vert_label-22_msk.nii.gz")
    parts, _ = _read(folder / "sub-ct_seg-subreg_label-22_msk.nii.gz")
    return _measure("tptbox", {"L3": (labels == VERSE_LABELS["L3"]) & np.isin(parts, BODY_SUBREGIONS)}, affine)


def _totalsegmentator(source: Path) -> list[dict[str, Any]]:
    folder = source / "ct/totalsegmentator_native"
    labels, affine = _read(folder / "example_seg_fast_force_split.nii.gz")
    bodies, _ = _read(folder / "spine_report/example_ct_report/totalseg_vertebrae_body.nii.gz")
    masks = {level: (labels == TOTALSEGMENTATOR_LABELS[level]) & (bodies == 1) for level in LEVELS[2:]}
    return _measure("totalsegmentator", masks, affine)


def _read(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Array and the affine from voxel indices to LPS patient mm."""
    image = nibabel.Nifti1Image.from_filename(path)
    affine = np.asarray(image.affine, dtype=np.float64)
    return np.asarray(image.dataobj), np.concatenate([RAS_TO_LPS[:, None] * affine[:3], affine[3:]])


def _measure(
    source: str, masks: dict[str, Mask], affine: NDArray[np.float64], *, with_arch: bool = False
) -> list[dict[str, Any]]:
    """Measure every body of one map; axes follow the neighbouring bodies."""
    points = {level: (np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]) for level, mask in masks.items()}
    centres = {level: _centre(cloud, with_arch=with_arch) for level, cloud in points.items()}
    rows = []
    for level, mask in masks.items():
        axes = _axes(level, centres, points[level])
        rays = [_outline_mm(mask, affine, centres[level], axes, w) for w in PLANE_MM.get(source, MID_PLANES_MM)]
        outline_mm = np.median(rays, axis=0)
        height = np.ptp(np.quantile((points[level] - centres[level]) @ axes[2], [0.01, 0.99]))
        row = _row(outline_mm, 0.0 if with_arch else float(height))
        if row is not None:
            rows.append({"source": source, "level": level, **row})
    return rows


def _centre(cloud: NDArray[np.float64], *, with_arch: bool) -> NDArray[np.float64]:
    """Middle of the body; with an arch in the map, of its front part of 30 mm."""
    if with_arch:
        cloud = cloud[cloud[:, 1] < cloud[:, 1].min() + 30.0]
    return np.asarray(np.median(cloud, axis=0))


def _axes(level: str, centres: dict[str, NDArray[np.float64]], cloud: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows u (left), v (posterior), w (cranial)."""
    names = list(centres)
    i = names.index(level)
    if len(names) == 1:
        spread = np.linalg.svd(cloud - cloud.mean(axis=0), full_matrices=False)[2]
        w = spread[np.argmax(np.abs(spread[:, 2]))]
        w = w * np.sign(w[2])
    else:
        w = centres[names[max(0, i - 1)]] - centres[names[min(len(names) - 1, i + 1)]]
        w = w / np.linalg.norm(w)
    u = np.array([1.0, 0.0, 0.0]) - w[0] * w
    u = u / np.linalg.norm(u)
    return np.stack([u, np.cross(w, u), w])


def _outline_mm(
    mask: Mask, affine: NDArray[np.float64], centre: NDArray[np.float64], axes: NDArray[np.float64], w_mm: float
) -> NDArray[np.float64]:
    """Points where rays leave the body in one plane, (SAMPLES, 2) as u, v."""
    angle = np.arange(SAMPLES) * 2.0 * np.pi / SAMPLES
    steps = np.arange(0.0, REACH_MM, RAY_STEP_MM)
    u, v = np.cos(angle)[:, None] * steps, np.sin(angle)[:, None] * steps
    places = centre + u[..., None] * axes[0] + v[..., None] * axes[1] + w_mm * axes[2]
    index = (places - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    share = map_coordinates(mask.astype(np.float32), np.moveaxis(index, -1, 0), order=1)
    radius = steps[np.argmax(share < 0.5, axis=1)]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _row(outline_mm: NDArray[np.float64], height_mm: float) -> dict[str, Any] | None:
    """Normalise by half width and half depth; None where a ray ran into the arch or left a gap."""
    low, high = outline_mm.min(axis=0), outline_mm.max(axis=0)
    width, depth = high - low
    scaled = (outline_mm - 0.5 * (low + high)) / (0.5 * (high - low))
    turn = np.unwrap(np.arctan2(scaled[:, 1], scaled[:, 0]))
    order = np.argsort(turn)
    angle = np.arange(SAMPLES) * 2.0 * np.pi / SAMPLES
    radius = np.interp(angle, turn[order], np.hypot(*scaled.T)[order], period=2.0 * np.pi)
    terms = np.fft.rfft(radius)
    terms[ORDERS:] = 0.0
    smooth = np.fft.irfft(terms, SAMPLES)
    if not 1.0 < width / depth < 1.7 or smooth.min() < 0.68 or smooth.max() > 1.42:
        return None
    return {
        "width_mm": round(float(width), 1),
        "depth_mm": round(float(depth), 1),
        "height_mm": round(height_mm, 1),
        "outline": [round(float(r), 4) for r in smooth],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
