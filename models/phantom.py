"""Seed -> strongly varied drawings of vertebral slices with known attenuation and depth, to widen what is trained on.

They are not anatomy but its range: a network that has met bodies of any outline, density, cortex and neighbourhood
reads real CT, where one trained on the simulated patients alone learns their likeness. They carry no BMD, only the
two factors of it, belong to no patient and are used for training alone, never for metrics.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from models.pairs import PHANTOM, Pairs

SIZE_PX, PIXEL_MM = 96, 1.25
DISC_SHARE = 0.2
Image = NDArray[np.float64]

_Y, _X = (np.mgrid[0:SIZE_PX, 0:SIZE_PX] - (SIZE_PX - 1) / 2) * PIXEL_MM  # mm; y to posterior, x to the left


@dataclass(frozen=True, slots=True)
class Body:
    """Shape of the vertebral body (outer cortex), mm."""

    depth_mm: float
    half_width_mm: float
    distance: Image  # below 0 inside


def draw_phantoms(count: int, seed: int) -> Pairs:
    """Draw crops of bodies and discs; attenuation is even between 0 and 300 HU, depth between 23 and 45 mm."""
    crops = np.empty((count, SIZE_PX, SIZE_PX), dtype=np.float32)
    hu, depth = np.empty(count), np.empty(count)
    is_body = np.arange(count) >= round(count * DISC_SHARE)
    for index in range(count):
        random = np.random.default_rng((seed, index))
        body = draw_body(random)
        hu[index], depth[index] = random.uniform(0, 300), body.depth_mm
        crops[index] = draw_slice(body, hu[index], bool(is_body[index]), random)
    return Pairs(
        crops_hu=crops,
        bmd_g_cm2=np.full(count, np.nan, dtype=np.float32),
        hu120=hu.astype(np.float32),
        depth_mm=depth.astype(np.float32),
        is_body=is_body,
        patient=np.full(count, PHANTOM),
        level=np.full(count, ""),
    )


def draw_body(random: Generator) -> Body:
    """Superellipse with lobes and a dented posterior wall; its depth is that of the midline."""
    half_depth = random.uniform(11.5, 22.5)
    half_width = half_depth * random.uniform(1.0, 1.6)
    power = random.uniform(1.8, 3.2)
    angle = np.arctan2(_Y, _X)
    lobes = sum(random.normal(0, 0.02) * np.cos(order * (angle - random.uniform(0, 6.3))) for order in (2, 3, 4, 5))
    dent_mm = random.uniform(0, 3) * np.exp(-(((angle - np.pi / 2) / 0.5) ** 2))
    reach = (np.abs(np.cos(angle) / half_width) ** power + np.abs(np.sin(angle) / half_depth) ** power) ** (-1 / power)
    outline = reach * (1 + lobes) - dent_mm
    front, back = (outline[row, SIZE_PX // 2] for row in (0, -1))
    return Body(float(front + back), half_width, np.hypot(_X, _Y) - outline)


def draw_slice(body: Body, hu: float, is_body: bool, random: Generator) -> NDArray[np.float32]:
    """Draw surroundings, then bone with its cortex, then what a scanner does to it."""
    crop = _surroundings(body, random)
    arch, canal = _arch(body, is_body, random)
    crop = _blend(crop, random.uniform(5, 50) + _texture(random, 1.5, 5), canal)
    thickness_mm, cortex_hu = random.uniform(0.8, 2.6), random.uniform(180, 800)
    bone = _cancellous(body, hu, random) if is_body else _disc(body, random)
    arch_hu = random.uniform(100, 700) + _texture(random, 1.5, random.uniform(0, 120))
    whole = np.maximum(np.minimum(body.distance, arch), -canal)
    inner = np.where(body.distance < arch, bone, arch_hu)
    crop = _blend(crop, inner, whole)
    wall = body.distance if random.random() < 0.4 else whole  # the body's own posterior wall is seen or not
    wall = np.where(arch < body.distance, whole, wall)
    if not is_body:
        wall = np.where(body.distance < arch, 99.0, wall)
    uneven = 1 + np.clip(_texture(random, 5, 0.25), -0.6, 0.8)
    band = np.exp(-(((wall + thickness_mm / 2) / (thickness_mm * uneven / 2 + 0.5)) ** 2))
    crop = np.maximum(crop, crop + (cortex_hu - crop) * band)
    crop = gaussian_filter(crop, random.uniform(0.2, 1.3)) + _texture(random, random.uniform(0.4, 1.1), 10)
    if random.random() < 0.04:  # edge of the reconstruction circle
        crop[:, : random.integers(1, 16)] = -1024
    return np.clip(crop, -1024, 2500).astype(np.float32)


def _cancellous(body: Body, hu: float, random: Generator) -> Image:
    """Trabecular bone of mean `hu` with texture, gradient, vein and islands."""
    slope = random.normal(0, 0.12, 2) * max(hu, 40) / body.depth_mm * 2
    bone = hu + slope[0] * _X + slope[1] * _Y
    bone = bone + _texture(random, 1.0, random.uniform(3, 25)) + _texture(random, 3.5, random.uniform(2, 18))
    if random.random() < 0.5:  # basivertebral vein, from the middle to the posterior wall
        length, width = random.uniform(6, 14), random.uniform(1.5, 4)
        along = body.depth_mm / 2 - _Y
        vein = (np.abs(_X) < width * (1.3 - along / length)) & (along < length)
        bone = np.where(vein, bone + random.uniform(-120, 60), bone)
    for _ in range(random.poisson(0.3)):
        x, y = random.uniform(-14, 14), random.uniform(-11, 11)
        bone = bone + random.uniform(80, 450) * _spot(x, y, random.uniform(1.2, 3.5))
    return np.asarray(bone)


def _disc(body: Body, random: Generator) -> Image:
    """Soft centre in the bowl of concave end plates, whose rim or one side is met by the slab."""
    share = np.clip(1 + body.distance / (body.depth_mm / 2), 0, 1) ** random.uniform(1.5, 8)
    tilt = random.normal(0, 0.5, 2)
    side = np.clip(1 + tilt[0] * _X / 15 + tilt[1] * _Y / 12, 0, 3)
    bone = random.uniform(50, 120) + random.uniform(0, 220) * share * side + _texture(random, 2.5, 8)
    if random.random() < 0.3:  # sclerotic patch
        bone = bone + random.uniform(100, 450) * _spot(
            random.uniform(-16, 16), random.uniform(-16, 16), random.uniform(3, 9)
        )
    return np.asarray(bone)


def _arch(body: Body, is_body: bool, random: Generator) -> tuple[Image, Image]:
    """Distances to the posterior elements, each of them optional, and to the canal."""
    back = body.depth_mm / 2
    canal_mm = random.uniform(8, 13), random.uniform(6, 9.5)
    middle = back + canal_mm[1] - random.uniform(0, 2)
    canal = _ellipse(0, middle, *canal_mm)
    parts = [np.full_like(_X, 99.0)]
    aside = random.uniform(12, 17)
    for side in (-1.0, 1.0):
        foot, root = (side * aside, middle + random.uniform(6, 10)), (side * aside, back - 4)
        if random.random() < (0.75 if is_body else 0.15):
            parts.append(_capsule(root, foot, random.uniform(2.5, 6)))
        if random.random() < 0.75:
            parts.append(_capsule(foot, (0, middle + canal_mm[1] + random.uniform(3, 8)), random.uniform(2, 5)))
        if random.random() < 0.6:
            parts.append(
                _ellipse(side * random.uniform(13, 21), foot[1] + 3, random.uniform(4, 9), random.uniform(4, 9))
            )
        if random.random() < 0.5:
            tip = (side * random.uniform(28, 42), foot[1] + random.uniform(-8, 10))
            parts.append(_capsule(foot, tip, random.uniform(1.5, 4)))
    if random.random() < 0.7:
        top = middle + canal_mm[1] + 3
        parts.append(_capsule((0, top), (random.normal(0, 2), top + random.uniform(5, 22)), random.uniform(1.5, 4)))
    return np.minimum.reduce(parts), canal


def _surroundings(body: Body, random: Generator) -> Image:
    """Fat with muscles, vessels, viscera, gas and ribs."""
    crop = random.uniform(-120, -80) + _texture(random, 2, random.uniform(2, 15))
    muscle = random.uniform(10, 75)
    for _ in range(random.integers(2, 7)):  # viscera in front
        place = random.uniform(-55, 55), -body.depth_mm / 2 - random.uniform(12, 45)
        organ = _ellipse(*place, random.uniform(6, 28), random.uniform(5, 20))
        crop = _blend(crop, random.choice([random.uniform(0, 200), random.uniform(20, 60), -900.0]), organ)
    for side in (-1.0, 1.0):
        gap = random.uniform(-4, 6)
        psoas = random.uniform(6, 20), random.uniform(8, 22)
        place = side * (body.half_width_mm + psoas[0] + gap), random.uniform(-8, 14)
        crop = _blend(crop, muscle + _texture(random, 2, 6), _ellipse(*place, *psoas))
        place = side * random.uniform(14, 28), body.depth_mm / 2 + random.uniform(22, 36)
        crop = _blend(crop, muscle + random.uniform(-90, 20), _ellipse(*place, *random.uniform(10, 22, 2)))
        if random.random() < 0.12:  # lung beside the upper bodies
            place = side * (body.half_width_mm + random.uniform(18, 34)), random.uniform(-10, 20)
            crop = _blend(crop, -850.0, _ellipse(*place, *random.uniform(10, 22, 2)))
        if random.random() < 0.15:  # rib
            start = (side * (body.half_width_mm + random.uniform(2, 8)), random.uniform(8, 20))
            end = (side * 60, start[1] + random.uniform(0, 20))
            crop = _blend(crop, random.uniform(200, 700), _capsule(start, end, random.uniform(2, 4)))
    vessel = random.uniform(90, 420) if random.random() < 0.5 else random.uniform(25, 60)
    for x in (random.uniform(-4, 22), random.uniform(-26, -2)):
        radius = random.uniform(5, 13)
        place = x, -body.depth_mm / 2 - radius - random.uniform(-2, 6)
        crop = _blend(
            crop, vessel * random.uniform(0.7, 1.0), _ellipse(*place, radius, radius * random.uniform(0.6, 1))
        )
        if random.random() < 0.2:  # calcified wall or osteophyte
            crop = crop + random.uniform(200, 900) * _spot(place[0], place[1] + radius, random.uniform(1, 3))
    return crop


def _texture(random: Generator, correlation_px: float, sd_hu: float) -> Image:
    field = gaussian_filter(random.standard_normal((SIZE_PX, SIZE_PX)), correlation_px)
    return np.asarray(field / field.std() * sd_hu)


def _spot(x_mm: float, y_mm: float, radius_mm: float) -> Image:
    return np.asarray(np.exp(-((_X - x_mm) ** 2 + (_Y - y_mm) ** 2) / (2 * radius_mm**2)))


def _ellipse(x_mm: float, y_mm: float, half_width_mm: float, half_height_mm: float) -> Image:
    """Distance from an ellipse, exact on its outline."""
    share = np.hypot((_X - x_mm) / half_width_mm, (_Y - y_mm) / half_height_mm)
    return np.asarray((share - 1) * min(half_width_mm, half_height_mm))


def _capsule(start: tuple[float, float], end: tuple[float, float], radius_mm: float) -> Image:
    """Distance from a line with rounded ends."""
    (x0, y0), (x1, y1) = start, end
    length_2 = (x1 - x0) ** 2 + (y1 - y0) ** 2
    along = np.clip(((_X - x0) * (x1 - x0) + (_Y - y0) * (y1 - y0)) / length_2, 0, 1)
    return np.asarray(np.hypot(_X - x0 - along * (x1 - x0), _Y - y0 - along * (y1 - y0)) - radius_mm)


def _blend(below: Image, above: Image | float, distance: Image) -> Image:
    """Lay `above` over `below` where the distance is negative, with the partial volume of a pixel."""
    share = np.clip(0.5 - distance / PIXEL_MM, 0, 1)
    return np.asarray(below * (1 - share) + above * share)
