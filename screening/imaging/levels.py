"""SpineProfiles -> level coordinate of every section: one best path over end-plate rhythm and anatomy.

The level coordinate is 0 at the disc L5/S1, 1 at L4/5 ... 5 at T12/L1, and grows cranially by one per vertebra; it is
negative in the sacrum. Names, discs and counting come out of one Viterbi search together, so a partial spine needs
no special case.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screening.imaging.spine_profiles import SpineProfiles

Path = NDArray[np.float64]

STEP_MM = 2  # between decoded sections
CELL = 0.01  # of a level
LOWEST, HIGHEST = -4.0, 20.0
GRID = np.round(np.arange(LOWEST, HIGHEST + CELL / 2, CELL), 2)
ADVANCES = np.arange(3, 16)  # cells per step: pitch 67 mm down to 13 mm
ADVANCE_SPREAD = 0.22
PEDICLE_PHASE = 0.61  # pedicles leave the upper half of the body
PEDICLE_WEIGHT = 0.5  # osteophytes and rotation move it by up to 7 mm; end plates stay where they are
# How much of a rhythm is to be expected from which level coordinate upwards. The sacrum has no free pedicles, but rests
# of its upper discs: were they worth nothing there, every path would gain by calling S1 a lumbar vertebra.
PEDICLE_REACH = ((-0.41, 0.0), (-0.4, 1.0), (17.0, 1.0), (17.01, 0.0))
ENDPLATE_REACH = ((-1.61, 0.0), (-1.6, 0.5), (-0.41, 0.5), (-0.4, 1.0), (17.0, 1.0), (17.01, 0.0))
EVIDENCE_SHARE = 1.0 / 6.0  # neighbouring steps and profiles are correlated
EVIDENCE_FLOOR = -5.0
SCALES = np.round(np.arange(0.82, 1.181, 0.06), 2)
SCALE_SPREAD = 0.10
LUMBAR_RANGE = (-0.3, 6.5)
SHIFTS = (-4, -3, -2, -1, 1, 2, 3, 4)

# Disc-to-disc distance in mm, measured along the canal, at the level coordinate of each body's centre. At the bodies it
# is 34 mm from L1 to L4 and 32 mm at L5 (VerSe landmarks of 193 spines: T11-12 29.8 +- 1.8, L1-2 33.4 +- 2.4,
# L2-3 34.1 +- 2.4, L3-4 33.8 +- 2.6, L4-5 31.7 +- 2.7); the canal runs 24 mm behind, on the inside of the lordosis.
PITCH_MM = (
    (-1.5, 23.0), (-0.5, 26.0), (0.5, 27.5), (1.5, 30.5), (2.5, 32.5), (3.5, 33.5), (4.5, 33.5), (5.5, 31.0),
    (6.5, 28.5), (7.5, 27.0), (9.5, 25.0), (12.5, 22.0), (16.5, 19.0),
)  # fmt: skip

# (level coordinate, lowest usual value, highest usual value); SOFTNESS is how far beyond it becomes unlikely (1 SD).
# Ranges, not Gaussians: where the lung ends, how long the twelfth rib is, how high the iliac crest stands is one
# accident per patient, not independent news in every section. Set wide by hand from anatomy; beyond the ends the
# last entry holds.
Table = tuple[tuple[float, float, float], ...]
TABLES: dict[str, Table] = {
    # HU of the core: below S1 the column turns away from the line of the lumbar canal
    "core": (
        (-1.5, -150, 110), (-1.0, -80, 180), (-0.5, 30, 330), (0.0, 40, 330), (9.0, 40, 330), (12.0, -300, 330),
        (14.0, -900, 330),
    ),
    # flanks of the body: wide lumbar bodies reach them, thoracic ones do not
    "rim": (
        (-1.5, 0.00, 0.20), (-1.0, 0.00, 0.35), (-0.5, 0.15, 0.65), (1.3, 0.15, 0.65), (2.5, 0.05, 0.45),
        (4.5, 0.00, 0.35), (6.5, 0.00, 0.22), (13.0, 0.00, 0.22), (17.0, 0.00, 0.50),
    ),
    # wings of the sacrum, gap at L5/S1, stout transverse processes of L5; from L3 up enhanced kidneys and ribs
    "ala": (
        (-2.0, 0.00, 0.15), (-1.0, 0.00, 0.30), (-0.6, 0.08, 0.40), (-0.2, 0.10, 0.40), (0.1, 0.03, 0.18),
        (0.7, 0.03, 0.16), (1.1, 0.00, 0.07), (1.7, 0.00, 0.06), (2.8, 0.00, 0.20), (9.0, 0.00, 0.20),
        (13.0, 0.00, 0.25), (17.0, 0.00, 0.40),
    ),
    # iliac wings: certain beside the sacrum, the crest anywhere from L5 to mid L4
    "ilium": (
        (-2.0, 0.00, 0.30), (-1.0, 0.03, 0.40), (-0.5, 0.03, 0.40), (0.0, 0.01, 0.30), (0.5, 0.00, 0.20),
        (1.0, 0.00, 0.10), (1.8, 0.00, 0.02), (5.0, 0.00, 0.03), (6.0, 0.00, 0.06), (13.0, 0.00, 0.20),
    ),
    # roots of the transverse processes, massive at L5 and S1
    "transverse": (
        (-1.3, 0.00, 0.25), (-0.7, 0.05, 0.60), (-0.3, 0.28, 0.85), (0.1, 0.20, 0.65), (0.6, 0.30, 0.85),
        (1.0, 0.10, 0.45), (1.6, 0.10, 0.55), (2.1, 0.00, 0.35), (3.5, 0.00, 0.35), (14.0, 0.00, 0.40),
        (17.0, 0.00, 0.70),
    ),
    # the recess behind the liver ends between T8 and L1
    "lung": (
        (-1.0, 0.00, 0.40), (0.5, 0.00, 0.10), (3.5, 0.00, 0.03), (4.3, 0.00, 0.05), (5.0, 0.00, 0.25),
        (6.0, 0.00, 0.80), (7.5, 0.00, 1.00), (8.5, 0.10, 1.00), (10.0, 0.25, 1.00), (13.0, 0.25, 1.00),
        (15.0, 0.00, 1.00),
    ),
    # the twelfth rib may be short, one-sided or, in one of twenty, missing; the iliac wings light up in the pelvis
    "rib": (
        (-1.0, 0.00, 0.60), (0.5, 0.00, 0.40), (1.5, 0.00, 0.15), (2.2, 0.00, 0.10), (4.2, 0.00, 0.10),
        (4.6, 0.00, 0.60), (4.9, 0.20, 1.60), (5.4, 0.20, 1.60), (5.7, 0.00, 1.60), (6.0, 0.00, 1.60),
        (6.3, 0.25, 2.00), (6.7, 0.25, 2.00), (7.1, 0.12, 2.00), (12.0, 0.12, 2.00), (14.0, 0.05, 2.00),
        (16.0, 0.00, 2.00),
    ),
    # degrees by which the canal runs backwards going caudal: the lordosis turns over at L4, whatever the bone density
    "inclination": (
        (-2.5, -15, 60), (-1.5, -5, 65), (-0.7, 12, 65), (0.0, 9, 48), (0.5, 4, 36), (1.0, -2, 24),
        (1.5, -8, 15), (2.0, -14, 9), (3.0, -26, 4), (4.0, -30, 2), (5.0, -30, 5), (6.5, -28, 10),
        (9.0, -22, 20), (12.0, -15, 35), (17.0, -40, 40),
    ),
}  # fmt: skip
SOFTNESS = {
    "core": 50.0, "rim": 0.08, "ala": 0.05, "ilium": 0.03, "transverse": 0.10, "lung": 0.08, "rib": 0.10,
    "inclination": 6.0,
}  # fmt: skip
# Above the mid thorax the ranges fit almost anything; without a cost every odd volume would end up there.
FAR_COST = ((13.0, 0.0), (15.0, 0.3))
SACRAL_PROFILES = ("core", "rim", "ala", "ilium", "transverse", "inclination")
RIB_PROFILES = ("rib", "lung")


@dataclass(frozen=True, slots=True)
class LevelPath:
    """Level coordinate of every section (1 mm) and what speaks for it.

    `margin` says for every section by how much (log likelihood) the best path beats every path that puts the section
    more than half a level elsewhere. `sacral_margin` and `rib_margin` are the evidence of one end of the spine for
    this naming against its best shift by whole levels (negative: that end prefers another name). `evidence` is the
    mean per step (0: nothing unusual); `coherence` how well the end plates keep time (0.79: perfect sine, 0: chance);
    `canal` the share of soft tissue along the lumbar canal.
    """

    coordinate: Path
    margin: Path
    scale: float
    sacral_margin: float
    rib_margin: float
    evidence: float
    coherence: float
    canal: float


def decode_levels(profiles: SpineProfiles) -> LevelPath:
    """Find the level coordinate of every section."""
    evidence = {name: _log_evidence(profiles.anatomy[name][::STEP_MM], name) for name in TABLES}
    total = np.sum(list(evidence.values()), axis=0) * EVIDENCE_SHARE
    endplate = profiles.endplate[::STEP_MM]
    pedicle = PEDICLE_WEIGHT * profiles.pedicle[::STEP_MM]
    rhythm = endplate[:, None] * _rhythm(GRID, 0.0, ENDPLATE_REACH)
    rhythm += pedicle[:, None] * _rhythm(GRID, PEDICLE_PHASE, PEDICLE_REACH)
    emission = total + rhythm - np.interp(GRID, *np.array(FAR_COST).T)
    by_scale = _best_through(emission)
    best = SCALES[by_scale.max(axis=(0, 2)).argmax()]
    through = by_scale.max(axis=1)
    cells = through.argmax(axis=1)
    coordinate = GRID[cells]
    lumbar = (coordinate > LUMBAR_RANGE[0]) & (coordinate < LUMBAR_RANGE[1])
    sections, steps = np.arange(len(profiles.endplate)), np.arange(len(cells)) * STEP_MM
    return LevelPath(
        coordinate=np.interp(sections, steps, coordinate),
        margin=np.interp(sections, steps, _margin(through, coordinate)),
        scale=float(best),
        sacral_margin=_shift_margin(_share(evidence, SACRAL_PROFILES), cells),
        rib_margin=_shift_margin(_share(evidence, RIB_PROFILES), cells),
        evidence=float(total[np.arange(len(cells)), cells].mean()),
        coherence=_coherence(endplate[lumbar], coordinate[lumbar]),
        canal=_known_mean(profiles.canal[::STEP_MM][lumbar]),
    )


def _share(evidence: dict[str, Path], names: tuple[str, ...]) -> Path:
    return np.asarray(np.sum([evidence[name] for name in names], axis=0) * EVIDENCE_SHARE)


def _log_evidence(profile: Path, name: str) -> Path:
    """Return (steps, cells) log likelihood: 0 inside the usual range, floored far outside; unknown says nothing."""
    at, lowest, highest = (np.array(column, dtype=np.float64) for column in zip(*TABLES[name], strict=True))
    value = np.nan_to_num(profile)[:, None]
    beyond = np.maximum(np.interp(GRID, at, lowest) - value, value - np.interp(GRID, at, highest))
    log = np.maximum(-0.5 * (np.maximum(beyond, 0.0) / SOFTNESS[name]) ** 2, EVIDENCE_FLOOR)
    log[~np.isfinite(profile)] = 0.0
    return np.asarray(log)


def _rhythm(coordinate: Path, phase: float, reach: tuple[tuple[float, float], ...]) -> Path:
    """Expected periodic signal: 1 at the phase, -1 half a level away, less where the spine has less of it."""
    return np.asarray(np.cos(2.0 * np.pi * (coordinate - phase)) * np.interp(coordinate, *np.array(reach).T))


def _coherence(endplate: Path, coordinate: Path) -> float:
    amplitude = float(np.abs(endplate).sum())
    return float((endplate * _rhythm(coordinate, 0.0, ENDPLATE_REACH)).sum()) / amplitude if amplitude else 0.0


def _known_mean(profile: Path) -> float:
    known = profile[np.isfinite(profile)]
    return float(known.mean()) if known.size else 0.0


def _best_through(emission: Path) -> Path:
    """Return (steps, scales, cells) the score of the best path through each cell, for patients of every size.

    The two end cells (legs, head) may be held at no cost.
    """
    pitch = np.interp(GRID, *np.array(PITCH_MM).T) * SCALES[:, None]
    expected = STEP_MM / pitch / CELL
    cost = 0.5 * ((ADVANCES[:, None, None] / expected - 1.0) / ADVANCE_SPREAD) ** 2
    count = len(emission)
    before, after = (np.zeros((count, len(SCALES), len(GRID))) for _ in range(2))
    for step in range(1, count):
        before[step] = _advance(before[step - 1] + emission[step - 1], cost)
    for step in range(count - 2, -1, -1):
        after[step] = _retreat(after[step + 1] + emission[step + 1], cost)
    size = 0.5 * ((SCALES - 1.0) / SCALE_SPREAD) ** 2
    return np.asarray(before + emission[:, None, :] + after - size[:, None])


def _advance(total: Path, cost: Path) -> Path:
    """Best score (scales, cells) of arriving in each cell from a more caudal one."""
    best = np.full_like(total, -np.inf)
    for advance, price in zip(ADVANCES, cost, strict=True):
        np.maximum(best[:, advance:], total[:, :-advance] - price[:, :-advance], out=best[:, advance:])
    best[:, [0, -1]] = np.maximum(best[:, [0, -1]], total[:, [0, -1]])
    return best


def _retreat(total: Path, cost: Path) -> Path:
    """Best score (scales, cells) of going on from each cell to a more cranial one."""
    best = np.full_like(total, -np.inf)
    for advance, price in zip(ADVANCES, cost, strict=True):
        np.maximum(best[:, :-advance], total[:, advance:] - price[:, :-advance], out=best[:, :-advance])
    best[:, [0, -1]] = np.maximum(best[:, [0, -1]], total[:, [0, -1]])
    return best


def _margin(through: Path, coordinate: Path) -> Path:
    elsewhere = np.abs(GRID[None, :] - coordinate[:, None]) > 0.5
    return np.asarray(through.max() - np.where(elsewhere, through, -np.inf).max(axis=1))


def _shift_margin(evidence: Path, cells: NDArray[np.intp]) -> float:
    """Evidence for the path minus that for the best whole-level shift of it."""
    steps = np.arange(len(cells))
    chosen = evidence[steps, cells].sum()
    level = round(1.0 / CELL)
    others = [evidence[steps, np.clip(cells + shift * level, 0, evidence.shape[1] - 1)].sum() for shift in SHIFTS]
    return float(chosen - max(others))
