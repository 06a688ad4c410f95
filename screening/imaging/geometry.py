"""Headers of one series -> a regular stack of slices in patient space, or the reason why there is none.

The order of files, instance numbers and SliceLocation play no part: slices are placed by ImagePositionPatient and
ImageOrientationPatient (DICOM PS3.3 C.7.6.2.1.1), so prone, feet-first and flipped series need no special case.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from screening.archive.index import Instance, Series
from screening.errors import Excluded, Exclusion

Vector = NDArray[np.float64]

ORTHONORMAL_TOLERANCE = 0.01  # of the direction cosines; they are written with limited digits
ORIENTATION_TOLERANCE = 0.002  # of the direction cosines: 0.5 mm at the edge of a 500 mm field of view
PIXEL_SPACING_TOLERANCE_MM = 0.001  # 0.5 mm over 512 pixels
DUPLICATE_TOLERANCE_MM = 0.05  # the thinnest CT increments are about 0.25 mm
GAP_RATIO = 1.5  # of the median step; one lost slice makes 2.0
POSITION_TOLERANCE_MM = 0.5  # positions are commonly rounded to 0.1 or 0.5 mm
SHIFT_TOLERANCE_MM = 1.0  # in-plane scatter about a straight stack
TILT_TOLERANCE_MM = 2.0  # in-plane drift over the whole stack; half the reading tolerance of a body's centre


@dataclass(frozen=True, slots=True)
class SliceStack:
    """Slices of equal size and orientation at equal steps along their normal.

    `directions` rows are the unit vectors of array axes slice, row, column in patient coordinates; `instances` are in
    the order of the first of them.
    """

    instances: tuple[Instance, ...]
    origin_mm: Vector  # (3,) centre of the first voxel of the first slice
    directions: Vector  # (3, 3)
    spacing_mm: tuple[float, float, float]  # between slices, rows, columns
    shape: tuple[int, int, int]


def stack_slices(series: Series) -> SliceStack:
    """Order the slices of a series along their normal and check that they fill space evenly.

    Raises:
        Excluded: NO_GEOMETRY, MIXED_GEOMETRY, TOO_FEW_SLICES, DUPLICATE_POSITIONS, GANTRY_TILT or MISSING_SLICES.
    """
    instances = without_copies(series.instances)
    directions = common_orientation(instances)
    rows, columns, pixel_spacing = _common_grid(instances)
    if len(instances) < 2:
        raise Excluded(Exclusion.TOO_FEW_SLICES, "one slice has no spacing")
    positions = np.array([instance.image_position_patient for instance in instances], dtype=np.float64)
    order = np.argsort(positions @ directions[0], kind="stable")
    positions = positions[order]
    spacing = _slice_spacing_mm(positions, directions[0])
    return SliceStack(
        instances=tuple(instances[i] for i in order),
        origin_mm=positions[0],
        directions=directions,
        spacing_mm=(spacing, *pixel_spacing),
        shape=(len(instances), rows, columns),
    )


def without_copies(instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
    """Keep the first of instances that share SOPInstanceUID and position: the same object stored twice."""
    kept: dict[object, Instance] = {}
    for instance in instances:
        uid = instance.sop_instance_uid
        key = (uid, instance.image_position_patient) if uid else instance.path
        kept.setdefault(key, instance)
    return tuple(kept.values())


def common_orientation(instances: tuple[Instance, ...]) -> Vector:
    """Unit vectors (3, 3) of slice normal, row step and column step that all instances share.

    Raises:
        Excluded: NO_GEOMETRY or MIXED_GEOMETRY.
    """
    lacking = sum(not _has_geometry(instance) for instance in instances)
    if lacking:
        raise Excluded(Exclusion.NO_GEOMETRY, f"{lacking} of {len(instances)} instances without usable geometry")
    cosines = np.array([instance.image_orientation_patient for instance in instances], dtype=np.float64)
    strays = int(np.sum(np.abs(cosines - cosines[0]).max(axis=1) > ORIENTATION_TOLERANCE))
    if strays:
        raise Excluded(Exclusion.MIXED_GEOMETRY, f"{strays} of {len(instances)} instances are oriented differently")
    along_row, along_column = np.mean(cosines, axis=0).reshape(2, 3)
    along_row = along_row / np.linalg.norm(along_row)
    along_column = along_column - (along_column @ along_row) * along_row
    along_column = along_column / np.linalg.norm(along_column)
    normal = np.cross(along_row, along_column)
    towards_head = normal if normal[np.argmax(np.abs(normal))] > 0 else -normal
    return np.stack([towards_head, along_column, along_row])


def _has_geometry(instance: Instance) -> bool:
    position, cosines = instance.image_position_patient, instance.image_orientation_patient
    spacing = instance.pixel_spacing_mm
    if position is None or cosines is None or spacing is None or not instance.rows or not instance.columns:
        return False
    if not np.all(np.isfinite([*position, *cosines, *spacing])) or min(spacing) <= 0:
        return False
    along_row, along_column = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.array([along_row @ along_row, along_column @ along_column])
    return bool(
        np.all(np.abs(lengths - 1) < 2 * ORTHONORMAL_TOLERANCE)
        and abs(along_row @ along_column) < ORTHONORMAL_TOLERANCE
    )


def _common_grid(instances: tuple[Instance, ...]) -> tuple[int, int, tuple[float, float]]:
    """Rows, columns and pixel spacing that all instances share."""
    grids = np.array([(i.rows, i.columns, *(i.pixel_spacing_mm or ())) for i in instances], dtype=np.float64)
    differences = np.abs(grids - grids[0])
    strays = int(np.sum((differences > (0, 0, PIXEL_SPACING_TOLERANCE_MM, PIXEL_SPACING_TOLERANCE_MM)).any(axis=1)))
    if strays:
        raise Excluded(Exclusion.MIXED_GEOMETRY, f"{strays} of {len(instances)} instances differ in size or spacing")
    rows, columns, between_rows, between_columns = grids[0]
    return int(rows), int(columns), (float(between_rows), float(between_columns))


def _slice_spacing_mm(positions: Vector, normal: Vector) -> float:
    """Return the even step of ordered positions (n, 3) along the normal, after checking that there is one."""
    along = (positions - positions[0]) @ normal
    steps = np.diff(along)
    doubles = int(np.sum(steps < DUPLICATE_TOLERANCE_MM))
    if doubles:
        raise Excluded(Exclusion.DUPLICATE_POSITIONS, f"{doubles} of {len(positions)} slices repeat a position")
    _check_upright(positions, normal, along)
    median = float(np.median(steps))
    gaps = int(np.sum(steps > GAP_RATIO * median))
    if gaps:
        raise Excluded(Exclusion.MISSING_SLICES, f"{gaps} gaps, widest {steps.max():.2f} mm at {median:.2f} mm steps")
    spacing = float(along[-1] / len(steps))
    off = float(np.abs(along - spacing * np.arange(len(along))).max())
    if off > POSITION_TOLERANCE_MM:
        raise Excluded(Exclusion.MIXED_GEOMETRY, f"steps from {steps.min():.2f} to {steps.max():.2f} mm")
    return spacing


def _check_upright(positions: Vector, normal: Vector, along: Vector) -> None:
    """Refuse stacks whose slices are shifted against one another (sheared by a tilted gantry, or scattered)."""
    aside = positions - positions[0] - np.outer(along, normal)
    slope = along @ aside / (along @ along)
    scatter = float(np.linalg.norm(aside - np.outer(along, slope), axis=1).max())
    drift = float(np.linalg.norm(slope) * along[-1])
    if drift > TILT_TOLERANCE_MM and drift > scatter:
        degrees = float(np.degrees(np.arctan(np.linalg.norm(slope))))
        raise Excluded(Exclusion.GANTRY_TILT, f"stack leans {degrees:.1f} degrees, {drift:.1f} mm in all")
    if scatter > SHIFT_TOLERANCE_MM:
        raise Excluded(Exclusion.MIXED_GEOMETRY, f"slices shifted in plane by up to {scatter:.1f} mm")
