"""StraightSpine -> one-dimensional profiles of the anatomy that tells levels apart.

Every profile has one value per section (1 mm). NaN means that the region lies outside the volume: unknown, not absent.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from screening.imaging.spinal_canal import GRID_MM, Floats, StraightSpine, bone_fraction

Profile = NDArray[np.float64]
Range = tuple[float, float]

SMOOTHING_MM = 5.0
KNOWN_SHARE = 0.5  # of a region must lie inside the volume

CANAL_HU = (-120.0, 170.0)  # epidural fat to cord, with image noise
EDGE_SD_MM = 1.5  # end plates are 1-2 mm thick
EDGE_WINDOW_HU = (-100.0, 600.0)  # gas in a disc and metal count as no more than an end plate
RIB_U_MM: Range = (46.0, 76.0)  # lateral of the transverse processes, which reach 40-45 mm
RIB_SLOPES = (0.2, 0.6, 1.0, 1.5, 2.0)  # descent of a rib per mm to the side
RIB_WINDOW_HU = (50.0, 400.0)  # muscle to cortical bone
RIB_CONTRAST_HU = 200.0  # of a rib of ordinary density
RIB_HALF_GAP_MM = 10.0  # a rib is 6-12 mm wide, the next one 20 mm or more away
RIB_BLIND_MM = 45.0  # a descending rib leaves the volume below this height: unknown there
RIB_SEEN = 0.2  # contrast of a faint rib; near the upper end, where not every slope can be tried, less says nothing
PERIOD_MM = 41  # longer than a level: high-pass window
RHYTHM_LIMIT = 1.6


@dataclass(frozen=True, slots=True)
class SpineProfiles:
    """Profiles along the canal, caudal to cranial, one value per millimetre.

    `pedicle` and `endplate` are standardised periodic signals: + at the pedicles, - at the foramina; + at the discs
    with their end plates, - in mid-body. `canal` is the share of soft tissue in the canal. `anatomy` holds the smoothed
    level evidence by name (see `levels.TABLES`).
    """

    pedicle: Profile
    endplate: Profile
    canal: Profile
    anatomy: dict[str, Profile]


def profile_spine(spine: StraightSpine) -> SpineProfiles:
    """Measure all profiles of a straightened spine."""
    bone = bone_fraction(spine.hu)
    in_canal = (spine.hu > CANAL_HU[0]) & (spine.hu < CANAL_HU[1])
    soft = np.where(np.isnan(spine.hu), np.nan, in_canal).astype(np.float32)
    gas = np.where(np.isnan(spine.hu), np.nan, spine.hu < -400.0).astype(np.float32)
    # Contrast-filled kidneys lie beside the column at up to 250 HU; cortical bone of the iliac wing exceeds it.
    cortex = np.clip((spine.hu - 250.0) / 200.0, 0.0, 1.0)
    anatomy = {
        "core": _region_mean(spine.hu, spine, (-34.0, -16.0), (-14.0, 14.0)),
        "rim": np.mean(_sides(bone, spine, (-32.0, -14.0), (17.0, 25.0)), axis=0),
        "ala": np.min(_sides(bone, spine, (-22.0, 12.0), (26.0, 46.0)), axis=0),
        "ilium": np.min(_sides(cortex, spine, (-30.0, 50.0), (48.0, 96.0)), axis=0),
        "transverse": np.mean(_sides(bone, spine, (-14.0, -2.0), (18.0, 30.0)), axis=0),
        "lung": np.mean(_sides(gas, spine, (-40.0, 10.0), (22.0, 58.0)), axis=0),
        "rib": _ribs(spine),
        "inclination": np.degrees(np.arctan2(-spine.tangent[:, 1], spine.tangent[:, 0])),
    }
    pedicle = np.mean(_sides(bone, spine, (-9.0, 0.0), (9.0, 17.0)), axis=0)
    return SpineProfiles(
        pedicle=_periodic(_smooth(pedicle, 2.0)),
        endplate=_periodic(_smooth(_endplate_edges(spine), 4.0)),
        canal=_region_mean(soft, spine, (-4.0, 4.0), (-4.0, 4.0)),
        anatomy={name: _smooth(profile, SMOOTHING_MM) for name, profile in anatomy.items()},
    )


def _region_mean(values: Floats, spine: StraightSpine, w_mm: Range, u_mm: Range) -> Profile:
    rows = (spine.w_mm >= w_mm[0]) & (spine.w_mm <= w_mm[1])
    columns = (spine.u_mm >= u_mm[0]) & (spine.u_mm <= u_mm[1])
    region = values[:, rows][:, :, columns].reshape(len(values), -1)
    known = np.isfinite(region)
    count = known.sum(axis=1)
    mean = np.where(known, region, 0.0).sum(axis=1) / np.maximum(count, 1)
    return np.where(count >= KNOWN_SHARE * region.shape[1], mean, np.nan)


def _sides(values: Floats, spine: StraightSpine, w_mm: Range, u_mm: Range) -> NDArray[np.float64]:
    """Return the means of the right and the left region, (2, sections)."""
    right = _region_mean(values, spine, w_mm, (-u_mm[1], -u_mm[0]))
    return np.stack([right, _region_mean(values, spine, w_mm, u_mm)])


def _smooth(profile: Profile, sd_mm: float) -> Profile:
    """Gaussian mean of the known values; unknown stays unknown."""
    known = np.isfinite(profile)
    weight = ndimage.gaussian_filter1d(known.astype(np.float64), sd_mm, mode="nearest")
    value = ndimage.gaussian_filter1d(np.where(known, profile, 0.0), sd_mm, mode="nearest")
    return np.where(known, value / np.maximum(weight, 1e-6), np.nan)


def _periodic(profile: Profile) -> Profile:
    """High-pass and standardise locally; unknown sections give 0, no opinion."""
    known = np.isfinite(profile)
    if not known.any():
        return np.zeros(len(profile))
    filled = np.interp(np.arange(len(profile)), np.flatnonzero(known), profile[known])
    change = filled - ndimage.uniform_filter1d(filled, PERIOD_MM, mode="nearest")
    spread = np.sqrt(ndimage.uniform_filter1d(change**2, 2 * PERIOD_MM, mode="nearest"))
    standard = np.clip(change / np.maximum(spread, 0.03), -RHYTHM_LIMIT, RHYTHM_LIMIT)
    return np.where(known, standard, 0.0)


def _endplate_edges(spine: StraightSpine) -> Profile:
    """Mean size of the HU change along the axis in the body: high at disc and end plates, low in cancellous bone.

    The size, not the sign: discs are darker than bone in the young, brighter in osteoporosis, equal in between.
    """
    rows = (spine.w_mm >= -38.0) & (spine.w_mm <= -12.0)
    columns = np.abs(spine.u_mm) <= 18.0
    body = spine.hu[:, rows][:, :, columns]
    known = np.isfinite(body).mean(axis=(1, 2)) >= KNOWN_SHARE
    quiet = ndimage.uniform_filter(np.clip(np.nan_to_num(body, nan=0.0), *EDGE_WINDOW_HU), (0, 3, 3))
    edges = np.abs(ndimage.gaussian_filter1d(quiet, EDGE_SD_MM, axis=0, order=1))
    return np.where(known, edges.mean(axis=(1, 2)), np.nan)


def _ribs(spine: StraightSpine) -> Profile:
    """Contrast of the best descending line beside the column, mean of both sides; unknown near the ends."""
    behind = spine.hu[:, spine.w_mm >= -14.0]
    brightest = np.fmax.reduce(behind, axis=1)
    soft = np.clip(np.nan_to_num(brightest, nan=0.0), *RIB_WINDOW_HU)
    ridges = np.mean([_descending_ridges(soft, spine, side) for side in (-1.0, 1.0)], axis=0) / RIB_CONTRAST_HU
    seen = np.isfinite(brightest[:, np.abs(spine.u_mm) <= RIB_U_MM[1]]).mean(axis=1) >= 0.9
    seen[: int(RIB_BLIND_MM)] = False
    steepest = RIB_HALF_GAP_MM * np.hypot(1.0, RIB_SLOPES[-1])
    above = np.arange(len(ridges)) + steepest > len(ridges) - 1
    return np.where(seen & (~above | (ridges >= RIB_SEEN)), ridges, np.nan)


def _descending_ridges(hu: Floats, spine: StraightSpine, side: float) -> Profile:
    """How far the mean along a line exceeds both its parallels; an edge, as of a kidney, exceeds only one.

    A line whose upper parallel lies outside the volume counts as no ridge.
    """
    sections = np.arange(len(hu), dtype=np.float64)
    lateral = np.arange(RIB_U_MM[0], RIB_U_MM[1] + 0.1, GRID_MM)
    columns = np.searchsorted(spine.u_mm, side * lateral)
    ridges = []
    for slope in RIB_SLOPES:
        line = np.zeros(len(hu))
        for u, column in zip(lateral, columns, strict=True):
            line += np.interp(sections - slope * (u - RIB_U_MM[0]), sections, hu[:, column])
        line /= len(lateral)
        apart = RIB_HALF_GAP_MM * np.hypot(1.0, slope)
        above = np.interp(sections + apart, sections, line, right=np.inf)
        ridges.append(line - np.maximum(np.interp(sections - apart, sections, line), above))
    return np.asarray(np.maximum(np.max(ridges, axis=0), 0.0))
