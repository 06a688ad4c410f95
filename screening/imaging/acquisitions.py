"""Series -> the acquisitions it holds: one as a rule, several where scans were sent under one SeriesInstanceUID.

A series is split only where header facts separate its slices cleanly: every part is a regular stack of its own, and
the parts overlap along the patient or do not fit together. Blocks that continue one another (step and shoot, chest
after abdomen) stay one series. What does not split cleanly stays whole and keeps its geometric reason.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from screening.archive.index import Instance, Series
from screening.errors import Excluded
from screening.imaging.geometry import (
    DUPLICATE_TOLERANCE_MM,
    PIXEL_SPACING_TOLERANCE_MM,
    SliceStack,
    common_orientation,
    stack_slices,
    without_copies,
)

MAXIMUM_ACQUISITIONS = 4  # unenhanced, arterial, venous, delayed; more passes are a perfusion or a trigger series
GRID_DIGITS = round(-np.log10(PIXEL_SPACING_TOLERANCE_MM))

Parts = dict[str, tuple[Instance, ...]]


def acquisitions_of(series: Series) -> tuple[Series, ...]:
    """Split a series into its acquisitions; the series itself where it holds one or cannot be split cleanly."""
    regular = _stack_of(series) is not None
    for parts in _parts_by_statement(series) if regular else _every_way_to_part(series):
        stacks = _regular_stacks(series, parts)
        if stacks and (not regular or _overlap(stacks)):
            return tuple(replace(series, instances=part, acquisition=name) for name, part in parts.items())
    return (series,)


def _every_way_to_part(series: Series) -> Iterator[Parts]:
    """Yield partitions by all that may tell acquisitions and reconstructions apart, the plainest first."""
    yield from _parts_by_statement(series)
    yield _numbered(_parts_by(series, "grid", _grid))
    yield _repeats(series)


def _parts_by_statement(series: Series) -> Iterator[Parts]:
    """Yield partitions by what the header says of acquisition and reconstruction."""
    yield _parts_by(series, "AcquisitionNumber", lambda instance: instance.acquisition_number)
    yield _numbered(_parts_by(series, "AcquisitionTime", lambda instance: instance.acquisition_time or None))
    yield _parts_by(series, "ConvolutionKernel", lambda instance: instance.convolution_kernel or None)


def _parts_by(series: Series, fact: str, value_of: Callable[[Instance], Hashable | None]) -> Parts:
    """Group instances by a fact that all of them state; nothing where one lacks it."""
    groups: dict[Hashable, list[Instance]] = defaultdict(list)
    for instance in series.instances:
        groups[value_of(instance)].append(instance)
    if None in groups:
        return {}
    return {f"{fact} {value}": tuple(groups[value]) for value in sorted(groups, key=_natural)}


def _natural(value: Hashable) -> tuple[float, str]:
    """Sort key that puts 2 before 10 and works for text as well."""
    return (float(value) if isinstance(value, int) else 0.0, str(value))


def _numbered(parts: Parts) -> Parts:
    """Name parts by their place instead of their value: a time of day does not belong in a reason."""
    return {
        f"{name.split()[0]} {place} of {len(parts)}": part for place, (name, part) in enumerate(parts.items(), start=1)
    }


def _grid(instance: Instance) -> Hashable | None:
    """Matrix and pixel spacing of a slice: reconstructions of other fields of view differ in them."""
    if instance.pixel_spacing_mm is None:
        return None
    return (instance.rows, instance.columns, *(round(step, GRID_DIGITS) for step in instance.pixel_spacing_mm))


def _repeats(series: Series) -> Parts:
    """Tell acquisitions that repeat every position apart by InstanceNumber; nothing where that is ambiguous.

    Either one acquisition was numbered after the other, or all images of a position were numbered together.
    """
    instances = without_copies(series.instances)
    numbers = {instance.instance_number for instance in instances}
    if None in numbers or len(numbers) < len(instances):
        return {}
    places = _places(instances)
    counts = {len(place) for place in places}
    if len(counts) != 1:
        return {}
    passes = tuple(zip(*(sorted(place, key=_number) for place in places), strict=True))
    if not (_numbered_in_turn(passes) or _numbered_in_turn(places)):
        return {}
    return {f"repeat {turn} of {len(passes)}": tuple(part) for turn, part in enumerate(passes, start=1)}


def _places(instances: tuple[Instance, ...]) -> tuple[tuple[Instance, ...], ...]:
    """Group instances that share a position along the normal; nothing where there is no common geometry."""
    try:
        normal = common_orientation(instances)[0]
    except Excluded:  # the whole series keeps this reason
        return ()
    along = np.array([instance.image_position_patient for instance in instances], dtype=np.float64) @ normal
    order = np.argsort(along, kind="stable")
    starts = np.flatnonzero(np.diff(along[order]) >= DUPLICATE_TOLERANCE_MM) + 1
    return tuple(tuple(instances[i] for i in place) for place in np.split(order, starts))


def _number(instance: Instance) -> int:
    return instance.instance_number or 0


def _numbered_in_turn(groups: tuple[tuple[Instance, ...], ...]) -> bool:
    """Whether the instance numbers of no two groups mingle."""
    ranges = sorted((min(map(_number, group)), max(map(_number, group))) for group in groups)
    return all(before[1] < after[0] for before, after in pairwise(ranges))


def _regular_stacks(series: Series, parts: Parts) -> tuple[SliceStack, ...]:
    """Stacks of all parts; none where there are too many or too few parts, or one is no stack."""
    if not 2 <= len(parts) <= MAXIMUM_ACQUISITIONS:
        return ()
    stacks = [_stack_of(replace(series, instances=part)) for part in parts.values()]
    found = tuple(stack for stack in stacks if stack is not None)
    return found if len(found) == len(stacks) else ()


def _stack_of(series: Series) -> SliceStack | None:
    try:
        return stack_slices(series)
    except Excluded:  # the reason is found again where the whole series is judged
        return None


def _overlap(stacks: tuple[SliceStack, ...]) -> bool:
    """Whether two stacks cover the same part of the patient."""
    normal = stacks[0].directions[0]
    spans = sorted(
        (float(stack.origin_mm @ normal), float(stack.origin_mm @ normal + stack.spacing_mm[0] * (stack.shape[0] - 1)))
        for stack in stacks
    )
    return any(before[1] >= after[0] for before, after in pairwise(spans))
