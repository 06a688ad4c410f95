"""Write the bundled real crops for re-densified training, `screening/simulation/real_bodies.npz`.

    python tests/data/write_real_bodies.py

Needs ../shared/data. Only sources that may be redistributed are taken (`screening/simulation/real_bodies.md`). Values
are rounded to 4 HU, far below the noise of 20 HU and more, so that the file stays small; no header goes into it.
"""

import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "real"))

from real_ct import RealBody, read_bodies  # noqa: E402

OUTPUT = REPOSITORY / "screening" / "simulation" / "real_bodies.npz"
NOT_TO_BE_REDISTRIBUTED = ("CCTH-A01",)
STEP_HU, RANGE_HU = 4.0, (-1024.0, 1600.0)


def main() -> None:
    rows = [row for body in read_bodies() if body.patient not in NOT_TO_BE_REDISTRIBUTED for row in slices_of(body)]
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    with OUTPUT.open("wb") as file:
        np.savez_compressed(file, **columns)


def slices_of(body: RealBody) -> list[dict[str, object]]:
    """One row a slab and one for the disc below."""
    facts = {
        "vertebra": f"{body.patient} {body.level}",
        "patient": body.patient,
        "level": body.level,
        "roi_hu": np.float32(body.roi_hu),
        "depth_mm": np.float32(body.depth_mm),
    }
    pictures = [(crop, True) for crop in body.slabs_hu] + [(crop, False) for crop in body.disc_hu]
    return [
        {
            "crops_hu": (np.rint(np.clip(crop, *RANGE_HU) / STEP_HU) * STEP_HU).astype(np.int16),
            "is_body": shown,
            **facts,
        }
        for crop, shown in pictures
    ]


if __name__ == "__main__":
    main()
