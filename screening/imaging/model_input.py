"""Volume and Vertebra -> axial crops of fixed physical size, the input of BMD_CNN."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Geometry of the network's input; stored in the checkpoint, so training and inference cannot differ."""

    size_px: int = 64
    pixel_mm: float = 1.25
    slab_mm: float = 5.0
    slabs_per_level: int = 3
    slab_spacing_mm: float = 5.0
