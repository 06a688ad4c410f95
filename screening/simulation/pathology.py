"""Patient and plain spine -> the same spine with fractures, sclerosis, cement, screws and transitional vertebrae.

Every draw comes from a branch of its own, so that the plain anatomy stays what it was. What is foreign to bone adds no
mineral, and nothing that is added here changes the truth of the cancellous interior except the compaction of a
fracture. Bone islands are only named here: they belong to the plain anatomy and count in its truth (`cancellous_mg`).
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from screening.simulation.branches import Branch, branch_rng
from screening.simulation.cohort import Patient
from screening.simulation.findings import FRACTURES, Cement, Finding, Sclerosis
from screening.simulation.vertebrae import Spine, VertebraShape

# Wedge deformities are the most frequent, crushed bodies the rarest.
FRACTURE_SHARES = {Finding.WEDGE_FRACTURE: 0.55, Finding.BICONCAVE_FRACTURE: 0.27, Finding.CRUSH_FRACTURE: 0.18}
SCLEROSIS_CHANCE = {"L5": 0.12, "L4": 0.10, "L3": 0.06, "L2": 0.05, "L1": 0.03}  # of the disc below, at full wear
CEMENT_SHARE, CEMENT_AGE_YEARS = 0.01, 65.0  # of the patients over this age
FRACTURED_SHARE = 0.22  # of the simulated patients over that age, T11-L5: only they can have cement
CEMENT_LEVELS = ("T11", "T12", "L1", "L2", "L3", "L4", "L5")
SCREW_SHARE = 0.03  # 2-4 % of abdominal CT show spinal hardware
SCREW_SPANS = {("L4", "L5"): 0.30, ("L5", "S1"): 0.20, ("L4", "L5", "S1"): 0.15, ("L3", "L4", "L5"): 0.15,
               ("L3", "L4"): 0.12, ("T12", "L1", "L2"): 0.08}  # fmt: skip
SACRALISED_SHARE, LUMBARISED_SHARE = 0.07, 0.05  # transitional lumbosacral vertebrae: 10-15 % together


def with_findings(patient: Patient, spine: Spine) -> Spine:
    """Return the spine with what deviates from the ordinary."""
    rng = branch_rng(patient, Branch.FINDINGS)
    fractures, sclerosis, transition, cement, screws = rng.spawn(5)
    spine = _with_fractures(spine, fractures)
    spine = _with_sclerosis(spine, patient.degeneration, sclerosis)
    spine = _with_transition(spine, patient.size, transition)
    if patient.age_years > CEMENT_AGE_YEARS:
        spine = _with_cement(spine, cement)
    spine = _with_screws(spine, screws)
    return _with(spine, (_named(v, Finding.BONE_ISLAND) for v in spine.vertebrae if v.islands))


def without_implants(spine: Spine) -> Spine:
    """Return the bone as it was before cement and screws; the findings still name them."""
    return replace(spine, instrumented=(), vertebrae=tuple(replace(v, cement=None) for v in spine.vertebrae))


def _named(vertebra: VertebraShape, finding: Finding) -> VertebraShape:
    """Add a finding once, however often it is there."""
    return vertebra if finding in vertebra.findings else replace(vertebra, findings=(*vertebra.findings, finding))


def _with(spine: Spine, changed: Iterable[VertebraShape]) -> Spine:
    """Put changed vertebrae in the place of those of their level."""
    by_level = {vertebra.level: vertebra for vertebra in changed}
    return replace(spine, vertebrae=tuple(by_level.get(v.level, v) for v in spine.vertebrae))


def _with_fractures(spine: Spine, rng: Generator) -> Spine:
    """Decide how each fractured body gave way; the plain spine knows only by how much."""
    kinds = rng.choice(list(FRACTURE_SHARES), len(spine.vertebrae), p=list(FRACTURE_SHARES.values()))
    for plain, kind in zip(spine.vertebrae, kinds, strict=True):
        if plain.wedge > 0.0:
            body = _named(spine.level(plain.level), Finding(kind))
            if kind == Finding.BICONCAVE_FRACTURE:
                spine = _with(spine, [_biconcave(body)])
            elif kind == Finding.CRUSH_FRACTURE:
                spine = _lowered(spine, body.level, body.wedge * body.height_mm)
                spine = _with(spine, [_crushed(body, spine.level(body.level))])
            else:
                spine = _with(spine, [body])
    return spine


def _biconcave(body: VertebraShape) -> VertebraShape:
    """Both end plates give way in the middle, the walls stand."""
    deeper = 0.5 * body.wedge * body.height_mm
    upper, lower = body.concavity_mm
    return replace(body, wedge=0.0, concavity_mm=(upper + deeper, lower + deeper))


def _crushed(body: VertebraShape, place: VertebraShape) -> VertebraShape:
    """The whole body loses height, in front a little more; its arch keeps its size."""
    return replace(
        body, height_mm=body.height_mm * (1.0 - body.wedge), wedge=0.3 * body.wedge, centre_mm=place.centre_mm
    )


def _lowered(spine: Spine, level: str, loss_mm: float, *, own: float = 0.5) -> Spine:
    """Let everything above a level sink by a loss of height, the level itself by a share; L3 stays the origin."""
    places = np.array([v.centre_mm for v in spine.vertebrae])
    levels = [v.level for v in spine.vertebrae]
    i = levels.index(level)
    down = loss_mm * np.asarray(spine.vertebrae[i].axes[2], np.float64)
    places[i] -= own * down
    places[i + 1 :] -= down
    places -= places[levels.index("L3")]
    moved = (
        replace(v, centre_mm=(float(x), float(y), float(z)))
        for v, (x, y, z) in zip(spine.vertebrae, places, strict=True)
    )
    return replace(spine, vertebrae=tuple(moved))


def _with_sclerosis(spine: Spine, degeneration: float, rng: Generator) -> Spine:
    """Condense the bone on both sides of worn discs."""
    for below, above in zip(spine.vertebrae, spine.vertebrae[1:], strict=False):
        chance, draw, patch = SCLEROSIS_CHANCE.get(above.level, 0.0) * degeneration, rng.random(), _patch(above, rng)
        if draw < chance:
            pair = [_condensed(spine.level(below.level), patch, upper=True)]
            pair.append(_condensed(spine.level(above.level), patch, upper=False))
            spine = _with(spine, pair)
    return spine


def _patch(above: VertebraShape, rng: Generator) -> Sclerosis:
    half_width, half_depth = 0.5 * above.width_mm, 0.5 * above.depth_mm
    return Sclerosis(
        upper=False,
        centre_mm=(rng.uniform(-0.6, 0.6) * half_width, rng.uniform(-0.8, 0.5) * half_depth),
        radius_mm=rng.uniform(5.0, 14.0),
        thickness_mm=rng.uniform(2.0, 6.0),
        mineral_mg=rng.uniform(80.0, 280.0),
    )


def _condensed(vertebra: VertebraShape, patch: Sclerosis, *, upper: bool) -> VertebraShape:
    bands = (*vertebra.sclerosis, replace(patch, upper=upper))
    return replace(_named(vertebra, Finding.END_PLATE_SCLEROSIS), sclerosis=bands)


def _with_transition(spine: Spine, size: float, rng: Generator) -> Spine:
    """Make L5 or S1 a transitional vertebra in one patient of eight."""
    draw, share = rng.random(), rng.uniform(0.3, 0.8)
    if draw < SACRALISED_SHARE:
        return _sacralised(spine, size, share)
    if draw < SACRALISED_SHARE + LUMBARISED_SHARE:
        return _lumbarised(spine, size, share)
    return spine


def _sacralised(spine: Spine, size: float, share: float) -> Spine:
    """L5 lies on the sacrum with a rudimentary disc and broad transverse processes that reach the wings."""
    low, high = spine.level("S1"), spine.level("L5")
    gap = float(np.linalg.norm(np.subtract(high.centre_mm, low.centre_mm))) - 0.5 * (low.height_mm + high.height_mm)
    spine = _lowered(spine, "S1", share * max(gap, 0.0), own=0.0)
    body = _named(spine.level("L5"), Finding.SACRALISED)
    arch = replace(body.posterior, transverse_mm=(13.0 + 9.0 * share) * size, transverse_reach_mm=46.0 * size)
    return _with(spine, [replace(body, posterior=arch)])


def _lumbarised(spine: Spine, size: float, share: float) -> Spine:
    """S1 has a disc below it and an arch like a lumbar one; the wings begin at S2."""
    body, below = _named(spine.level("S1"), Finding.LUMBARISED), spine.level("S2")
    model = spine.level("L5")
    arch = replace(
        model.posterior,
        pedicle_height_mm=0.9 * model.posterior.pedicle_height_mm,
        transverse_mm=9.0 * size,
        transverse_reach_mm=40.0 * size,
    )
    freed = replace(
        body,
        posterior=arch,
        height_mm=body.height_mm * (1.0 - 0.2 * share),
        arch_height_mm=model.arch_height_mm,
        end_plate_mg=model.end_plate_mg,
        cancellous_mg=model.cancellous_mg,
    )
    return _with(spine, [freed, replace(below, posterior=replace(below.posterior, wing=0.95))])


def _with_cement(spine: Spine, rng: Generator) -> Spine:
    """Fill one fractured body of T11-L5 with cement."""
    draw, pick = rng.random(), rng.random()
    broken = [v for v in spine.vertebrae if FRACTURES & set(v.findings) and v.level in CEMENT_LEVELS]
    if not broken or draw >= CEMENT_SHARE / FRACTURED_SHARE:
        return spine
    body = broken[int(pick * len(broken))]
    count = int(rng.integers(2, 5))
    reach = np.array([0.25 * body.width_mm, 0.22 * body.depth_mm, 0.18 * body.height_mm])
    centres = rng.uniform(-1.0, 1.0, (count, 3)) * reach
    cement = Cement(
        centres_mm=tuple((float(u), float(v), float(w)) for u, v, w in centres),
        radii_mm=tuple(float(r) for r in rng.uniform(4.5, 8.5, count)),
        attenuation_hu=rng.uniform(2200.0, 3000.0),
    )
    return _with(spine, [replace(_named(body, Finding.CEMENT), cement=cement)])


def _with_screws(spine: Spine, rng: Generator) -> Spine:
    """Fuse two or three levels with pedicle screws and rods."""
    draw, span = rng.random(), list(SCREW_SPANS)[int(rng.choice(len(SCREW_SPANS), p=list(SCREW_SPANS.values())))]
    if draw >= SCREW_SHARE:
        return spine
    return replace(_with(spine, (_named(spine.level(n), Finding.PEDICLE_SCREWS) for n in span)), instrumented=span)
