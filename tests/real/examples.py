"""Real crops and simulated ones side by side, in the same window, with the outline of what the network looked at.

    python tests/real/examples.py [--checkpoint FILE] --output models/examples.png

Rows: real bodies, real discs, simulated bodies, simulated discs; 100 x 100 mm each, window 400, level 100 HU. The real
ones are bundled (sources in `real_bodies.md`), the first vertebra of every patient; the simulated ones are the first
patients of institution 2.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion, zoom

from screening.prediction.inference import Predictor, load_predictor
from screening.simulation.pairs import Pairs, training_pairs
from screening.simulation.redensified import BUNDLED, RealBodies, read_bodies

WINDOW_HU = (-100.0, 300.0)
INPUT_PX, ZOOM, GAP_PX = 80, 2, 4
ATTENTION_SHARE = 0.8
GREYS = 63
YELLOW = (255, 212, 0)
SEED = 3

Floats = NDArray[np.float32]


def first_of_each(crops_hu: NDArray[np.generic], patient: NDArray[np.generic], chosen: NDArray[np.bool_]) -> Floats:
    """Pick the first chosen crop of every patient, (patients, 80, 80)."""
    _, first = np.unique(patient[chosen], return_index=True)
    margin = (crops_hu.shape[-1] - INPUT_PX) // 2
    cut = crops_hu[chosen][first][:, margin : margin + INPUT_PX, margin : margin + INPUT_PX]
    return np.ascontiguousarray(cut, np.float32)


def rows_of(pictures: RealBodies | Pairs) -> tuple[Floats, Floats]:
    """Crops of bodies and of discs."""
    crops, patient, body = np.asarray(pictures.crops_hu), np.asarray(pictures.patient), np.asarray(pictures.is_body)
    return first_of_each(crops, patient, body), first_of_each(crops, patient, ~body)


def tile(crop_hu: Floats, attention: Floats | None) -> NDArray[np.uint8]:
    """Paint one crop as indices into the palette."""
    low, high = WINDOW_HU
    grey = np.clip((zoom(crop_hu, ZOOM, order=1) - low) / (high - low), 0.0, 1.0)
    indices = np.rint(grey * (GREYS - 1)).astype(np.uint8)
    if attention is not None:
        weight = zoom(attention, indices.shape[0] / attention.shape[0], order=1)
        falling = np.sort(weight, axis=None)[::-1]
        held = np.cumsum(falling) <= ATTENTION_SHARE * falling.sum()
        inside = weight >= falling[int(held.sum())]
        indices[inside & ~binary_erosion(inside)] = GREYS
    return indices


def strip(crops_hu: Floats, predictor: Predictor | None) -> NDArray[np.uint8]:
    """Paint one row; without a predictor nothing is outlined."""
    maps = [None] * len(crops_hu) if predictor is None else list(predictor(crops_hu).attention)
    tiles = [tile(crop, looked) for crop, looked in zip(crops_hu, maps, strict=True)]
    return np.hstack([np.pad(one, ((0, GAP_PX), (0, GAP_PX))) for one in tiles])


def sheet(rows: list[tuple[Floats, Predictor | None]]) -> Image.Image:
    """Put the rows below each other."""
    strips = [strip(crops, predictor) for crops, predictor in rows]
    width = max(one.shape[1] for one in strips)
    picture = Image.fromarray(np.vstack([np.pad(one, ((0, 0), (0, width - one.shape[1]))) for one in strips])).convert(
        "P"
    )
    greys = [round(255 * step / (GREYS - 1)) for step in range(GREYS)]
    picture.putpalette([value for grey in greys for value in (grey, grey, grey)] + list(YELLOW))
    return picture


def main(argv: list[str] | None = None) -> int:
    """Write the picture."""
    parser = argparse.ArgumentParser(description="Show simulated crops beside real ones.")
    parser.add_argument("--checkpoint", type=Path, help="default: the bundled weights")
    parser.add_argument("--output", type=Path, required=True, help="the .png to write")
    chosen = parser.parse_args(argv)
    predictor = load_predictor(chosen.checkpoint, "cpu")
    real_bodies, real_discs = rows_of(read_bodies(BUNDLED))
    count = len(real_bodies)
    bodies, discs = rows_of(training_pairs(patients=count, seed=SEED, institution=2))
    picture = sheet([(real_bodies, predictor), (real_discs, None), (bodies, predictor), (discs, None)])
    picture.save(chosen.output, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
