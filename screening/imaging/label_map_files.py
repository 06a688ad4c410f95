"""Series + volume -> lumbar spine from a label map beside the files or in the study, or from the built-in localiser.

A pattern is looked for in each folder that holds files of the series; `../` begins one for the folder above, so that a
sibling folder can be named. `{series}` stands for the SeriesInstanceUID, `{folder}` for the name of the folder. Files
that name no vertebra are masks of something else: the next pattern is looked for then, at last the DICOM segmentations
of the study that refer to the series. A file that cannot be read may be either, so it is a reason of its own where
nothing else names a vertebra.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from glob import escape
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from screening.archive.index import Series, Study
from screening.errors import Excluded, Exclusion
from screening.imaging.dicom_segmentation import segmentations_of, segmented_vertebrae
from screening.imaging.hounsfield import Volume
from screening.imaging.label_map import (
    SAME_BOX_MM,
    VERTEBRA_NAME,
    LabelMap,
    box_distance_mm,
    label_map_of,
    label_map_of_levels,
    spine_of_labels,
)
from screening.imaging.lumbar import Localizer, LumbarSpine
from screening.imaging.nifti import read_label_image

# As TotalSegmentator's users name its output: --ml writes one file, else one folder of masks.
USUAL_PATTERNS: Final = (
    "{series}.nii*",
    "*seg*.nii*",
    "vertebrae_*.nii*",
    "segmentations/vertebrae_*.nii*",
    "../{folder}_seg*.nii*",
    "../{folder}_seg*/vertebrae_*.nii*",
)
SUFFIXES: Final = (".nii", ".nii.gz")
ABOVE: Final = "../"
PLACEHOLDERS: Final = ("series", "folder")


class LumbarSettings(BaseModel):
    """What finds the lumbar spine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    localizer: Literal["built_in", "segmentation"] = Field(
        "built_in",
        description="built_in, or segmentation: label maps, NIfTI beside the series or DICOM SEG in the study.",
    )
    without_label_map: Literal["built_in", "exclude"] = Field(
        "built_in", description="What becomes of a series without a label map."
    )
    label_maps: tuple[str, ...] = Field(
        USUAL_PATTERNS,
        min_length=1,
        description="Where label maps lie, from the folder of the series; the first that names a vertebra counts.",
    )

    @field_validator("label_maps")
    @classmethod
    def _usable(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            _refuse_unusable(pattern)
        return patterns


def _refuse_unusable(pattern: str) -> None:
    """Refuse a pattern that nothing can be looked for with.

    Raises:
        ValueError: it is absolute or empty, holds another placeholder, or is no pattern of pathlib.
    """
    for _, name, form, conversion in Formatter().parse(pattern):
        if name is not None and (name not in PLACEHOLDERS or form or conversion):
            raise ValueError(f"{pattern!r}: expected no placeholders but {{series}} and {{folder}}")
    names = PurePosixPath(pattern.removeprefix(ABOVE))
    if names.is_absolute() or not names.parts:
        raise ValueError(f"{pattern!r}: expected a path from the folder of the series, such as segmentations/*.nii*")
    if "\0" in pattern or any("**" in part and part != "**" for part in names.parts):
        raise ValueError(f"{pattern!r}: expected ** alone between slashes")


def find_spine(
    series: Series, volume: Volume, built_in: Localizer, settings: LumbarSettings, study: Study
) -> LumbarSpine:
    """Find the lumbar spine as the site wants it found.

    Raises:
        Excluded: NO_LABEL_MAP or LABEL_MAP_UNUSABLE where one is wanted, NO_LUMBAR where the built-in localiser finds
            no spine.
    """
    if settings.localizer == "built_in":
        return built_in(volume)
    labels = _label_map(series, volume, settings, study)
    if labels is not None:
        return spine_of_labels(labels, volume)
    if settings.without_label_map == "exclude":
        raise Excluded(Exclusion.NO_LABEL_MAP, "none beside the series, none in the study names a vertebra")
    spine = built_in(volume)
    return replace(spine, detail=f"no label map, built-in localiser: {spine.detail}")


def label_maps_digest(series: Iterable[Series], settings: LumbarSettings) -> str:
    """Digest path, size and time of every file that may be a label map: one that comes, goes or changes is noticed."""
    paths = {path for one in series for paths in _paths_by_pattern(one, settings) for path in paths}
    facts = [fact for path in sorted(paths) if (fact := _fact(path)) is not None]
    return hashlib.blake2b("\n".join(facts).encode(errors="surrogateescape"), digest_size=16).hexdigest()


def _fact(path: Path) -> str | None:
    """Tell path, size and time of a file; None where it has vanished since it was found."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return f"{path}\0{status.st_size}\0{status.st_mtime_ns}"


def _label_map(series: Series, volume: Volume, settings: LumbarSettings, study: Study) -> LabelMap | None:
    """Return the first map that names a vertebra: of the patterns in their order, then of the study's own objects.

    Raises:
        Excluded: LABEL_MAP_UNUSABLE where it does not cover the volume, or there is none but a file that cannot be
            read.
    """
    unread: list[Excluded] = []
    for paths in _paths_by_pattern(series, settings):
        maps = [labels for labels in _maps(paths, unread) if labels.names_vertebrae]
        if maps:
            return _fitting(maps, volume)
    labels = segmented_vertebrae(segmentations_of(study), series, volume)
    if labels is None and unread:
        raise unread[0]
    return labels


def _paths_by_pattern(series: Series, settings: LumbarSettings) -> Iterator[list[Path]]:
    """Yield the files of every pattern, each file once."""
    folders = sorted({instance.path.parent for instance in series.instances})
    known: set[Path] = set()
    for pattern in settings.label_maps:
        found = {path for folder in folders for path in _matches(folder, pattern, series.series_instance_uid)}
        yield sorted(found - known)
        known |= found


def _matches(folder: Path, pattern: str, series_instance_uid: str) -> Iterator[Path]:
    if "/" in series_instance_uid:  # no UID, and no name of a file
        return iter(())
    place = folder.parent if pattern.startswith(ABOVE) else folder
    names = pattern.removeprefix(ABOVE).format(series=escape(series_instance_uid), folder=escape(folder.name))
    return (path for path in place.glob(names) if path.name.endswith(SUFFIXES) and path.is_file())


def _maps(paths: list[Path], unread: list[Excluded]) -> Iterator[LabelMap]:
    """Yield the map of each file, and one of all masks named after a vertebra; note files that cannot be read.

    Raises:
        Excluded: LABEL_MAP_UNUSABLE where masks of vertebrae cannot be read or put together.
    """
    masks = {match[1]: path for path in paths if (match := VERTEBRA_NAME.fullmatch(_stem(path))) is not None}
    if masks:
        yield label_map_of_levels({level: read_label_image(path) for level, path in masks.items()})
    for path in paths:
        if _stem(path).startswith("vertebrae_"):
            continue
        try:
            image = read_label_image(path)
        except Excluded as reason:
            unread.append(reason)
        else:
            yield label_map_of(image)


def _fitting(maps: list[LabelMap], volume: Volume) -> LabelMap:
    """Return the one label map that covers the volume.

    Raises:
        Excluded: LABEL_MAP_UNUSABLE where none does, or several do.
    """
    fitting = [labels for labels in maps if box_distance_mm(labels, volume) <= SAME_BOX_MM]
    if len(fitting) != 1:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"{len(fitting)} of {len(maps)} label maps cover the CT's volume")
    return fitting[0]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")
