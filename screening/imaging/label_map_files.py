"""Series + volume -> lumbar spine from a label map beside the files or in the study, or from the built-in localiser.

A pattern is looked for in each folder that holds files of the series; `../` begins one for the folder above, so that a
sibling folder can be named. `{series}` stands for the SeriesInstanceUID, `{folder}` for the name of the folder. Where
no such file is found, the DICOM segmentations of the study that refer to the series are taken.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

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
        USUAL_PATTERNS, min_length=1, description="Where label maps lie, from the folder of the series; first hit wins."
    )


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
    paths = label_map_paths(series, settings)
    labels = _fitting(paths, volume) if paths else segmented_vertebrae(segmentations_of(study), series, volume)
    if labels is not None:
        return spine_of_labels(labels, volume)
    if settings.without_label_map == "exclude":
        raise Excluded(Exclusion.NO_LABEL_MAP, "none beside the series, none in the study")
    spine = built_in(volume)
    return replace(spine, detail=f"no label map, built-in localiser: {spine.detail}")


def label_map_paths(series: Series, settings: LumbarSettings) -> list[Path]:
    """List the files of the first pattern that finds any."""
    folders = sorted({instance.path.parent for instance in series.instances})
    for pattern in settings.label_maps:
        found = sorted({path for folder in folders for path in _matches(folder, pattern, series.series_instance_uid)})
        if found:
            return found
    return []


def label_maps_digest(series: Iterable[Series], settings: LumbarSettings) -> str:
    """Digest path, size and modification time of the label maps in use: one that comes, goes or changes is noticed."""
    facts = []
    for path in sorted({path for one in series for path in label_map_paths(one, settings)}):
        status = path.stat()
        facts.append(f"{path}\0{status.st_size}\0{status.st_mtime_ns}")
    return hashlib.blake2b("\n".join(facts).encode(errors="surrogateescape"), digest_size=16).hexdigest()


def _matches(folder: Path, pattern: str, series_instance_uid: str) -> Iterator[Path]:
    place = folder.parent if pattern.startswith(ABOVE) else folder
    names = pattern.removeprefix(ABOVE).format(series=escape(series_instance_uid), folder=escape(folder.name))
    return (path for path in place.glob(names) if path.name.endswith(SUFFIXES) and path.is_file())


def _fitting(paths: list[Path], volume: Volume) -> LabelMap:
    """Return the one label map that covers the volume.

    Raises:
        Excluded: LABEL_MAP_UNUSABLE where none does, or several do.
    """
    masks = {match[1]: path for path in paths if (match := VERTEBRA_NAME.fullmatch(_stem(path))) is not None}
    whole = [path for path in paths if not _stem(path).startswith("vertebrae_")]
    maps = [label_map_of(read_label_image(path)) for path in whole]
    if masks:
        maps.append(label_map_of_levels({level: read_label_image(path) for level, path in masks.items()}))
    fitting = [labels for labels in maps if box_distance_mm(labels, volume) <= SAME_BOX_MM]
    if len(fitting) != 1:
        raise Excluded(Exclusion.LABEL_MAP_UNUSABLE, f"{len(fitting)} of {len(maps)} label maps cover the CT's volume")
    return fitting[0]


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")
