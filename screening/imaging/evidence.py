"""Volume and readings -> one picture per study that shows a clinician what was measured where.

Left the curved sagittal reformat along the vertebral bodies with level names and end plates, right one axial section
per level with the region of interest and the place where the network looked outlined. Radiological view: the patient's
right side is on the left. No patient data is drawn.
"""

import io
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion, map_coordinates

from screening.imaging.attenuation import TrabecularReading
from screening.imaging.enhancement import body_axis_mm
from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

Floats = NDArray[np.float64]

WINDOW_CENTRE_HU, WINDOW_WIDTH_HU = 150.0, 700.0  # between soft-tissue and bone window: marrow and cortex both seen
TILE_MM = 110.0
TILE_PX = 288
BEHIND_CENTRE_MM = 14.0  # the tile's middle, so that arch and spinous process are seen
AXIAL_SLAB_MM = 5.0
SAGITTAL_STEP_MM = 1.0
SAGITTAL_OFFSETS_MM = (-2.0, 0.0, 2.0)  # averaged across
SAGITTAL_AHEAD_MM, SAGITTAL_BEHIND_MM = 46.0, 46.0  # of the bodies' mean centre
SAGITTAL_MARGIN_MM = 25.0  # above and below the outermost end plates
END_PLATE_HALF_MM = 17.0
CAPTION_PX = 26
FONT_PX = 15
ATTENTION_SHARE = 0.8  # of the network's attention lies inside its outline
ATTENTION_LINE_PX = 2
PALETTE_GREYS, PALETTE_SHADES = 96, 16  # fewer colours make half the size, and many thousand pictures are stored
# Okabe-Ito: told apart by every colour vision
USED_COLOUR = (86, 180, 233)
UNUSED_COLOUR = (230, 159, 0)
ATTENTION_COLOUR = (240, 228, 66)  # brighter than any cancellous bone in the window
TEXT_COLOUR = (240, 240, 240)
BACKGROUND = (16, 16, 16)


@dataclass(frozen=True, slots=True)
class AttentionMap:
    """Where the network looked in one axial slab, along rows and columns of the volume."""

    weight: NDArray[np.float32]  # (n, n), sums to 1
    centre_mm: NDArray[np.float64]  # (3,) patient position of the map's middle
    edge_mm: float  # length of the side of the square that the map covers


class LevelEvidence(NamedTuple):
    """What is shown of one level; `problem` says why it does not count for the patient's value, "" where it does."""

    vertebra: Vertebra
    reading: TrabecularReading
    bmd_g_cm2: float | None
    problem: str = ""
    attention: AttentionMap | None = None
    plates_mm: tuple[Floats, ...] = ()  # (n, 3) each, patient coordinates; straight lines where not traced

    @property
    def used(self) -> bool:
        """Whether the level counts."""
        return not self.problem

    @property
    def colour(self) -> tuple[int, int, int]:
        """Colour of everything drawn for this level."""
        return USED_COLOUR if self.used else UNUSED_COLOUR


def evidence_png(volume: Volume, levels: tuple[LevelEvidence, ...]) -> bytes:
    """Draw the picture of one study as PNG.

    Args:
        volume: the series that was measured.
        levels: what was read, at least one level, cranial first.
    """
    columns = 1 if len(levels) == 1 else 2 if len(levels) <= 4 else 3
    rows = -(-len(levels) // columns)
    height = rows * (TILE_PX + CAPTION_PX)
    sagittal = _sagittal(volume, levels, height)
    sheet = Image.new("RGB", (sagittal.width + columns * TILE_PX, height + CAPTION_PX), BACKGROUND)
    sheet.paste(sagittal, (0, 0))
    for i, level in enumerate(levels):
        corner = (sagittal.width + i % columns * TILE_PX, i // columns * (TILE_PX + CAPTION_PX))
        sheet.paste(_axial_tile(volume, level), corner)
    _draw_legend(sheet, levels)
    buffer = io.BytesIO()
    sheet.quantize(palette=_palette(), dither=Image.Dither.NONE).save(buffer, format="PNG")
    return buffer.getvalue()


def _palette() -> Image.Image:
    """Greys, and shades of the marks for their smoothed edges."""
    greys = np.linspace(0, 255, PALETTE_GREYS)[:, None] * np.ones(3)
    shades = [
        np.linspace(0.3, 1, PALETTE_SHADES)[:, None] * np.array(colour)
        for colour in (USED_COLOUR, UNUSED_COLOUR, ATTENTION_COLOUR)
    ]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.rint(np.concatenate([greys, *shades])).astype(np.uint8).tobytes())
    return palette


def _axial_tile(volume: Volume, level: LevelEvidence) -> Image.Image:
    """One level's central slab with its region of interest and caption."""
    middle = volume.index(np.array(level.vertebra.centre_mm))
    pixel_mm = TILE_MM / TILE_PX
    offsets = (np.arange(TILE_PX) + 0.5) * pixel_mm - TILE_MM / 2
    rows = middle[1] + (offsets + BEHIND_CENTRE_MM) / volume.spacing_mm[1]
    columns = middle[2] + offsets / volume.spacing_mm[2]
    picture = map_coordinates(
        _axial_slab(volume, float(middle[0])), np.meshgrid(rows, columns, indexing="ij"), order=3, cval=-1024
    )
    tile = Image.new("RGB", (TILE_PX, TILE_PX + CAPTION_PX), BACKGROUND)
    tile.paste(_windowed(picture), (0, CAPTION_PX))
    if level.attention is not None:
        looked = _attention_outline(volume, level.attention, rows, columns)
        tile.paste(ATTENTION_COLOUR, (0, CAPTION_PX), Image.fromarray(looked))
    outline = (volume.index(level.reading.outline_mm)[:, 1:] - [rows[0], columns[0]]) * volume.spacing_mm[1:] / pixel_mm
    corners = [(column, row + CAPTION_PX) for row, column in outline.tolist()]
    draw = ImageDraw.Draw(tile)
    draw.line([*corners, corners[0]], fill=level.colour, width=2, joint="curve")
    draw.text((8, 4), caption(level), fill=level.colour, font=ImageFont.load_default(FONT_PX))
    draw.text((6, CAPTION_PX + 4), "R", fill=TEXT_COLOUR, font=ImageFont.load_default(FONT_PX))
    if not level.used:
        draw.text(
            (8, tile.height - 8), f"not used: {level.problem}", fill=level.colour, anchor="ld",
            font=ImageFont.load_default(FONT_PX), stroke_width=2, stroke_fill=BACKGROUND,
        )  # fmt: skip
    return tile


def _attention_outline(volume: Volume, attention: AttentionMap, rows: Floats, columns: Floats) -> NDArray[np.bool_]:
    """Rim of the smallest region that holds `ATTENTION_SHARE` of the attention, at rows x columns of the slice."""
    count = len(attention.weight)
    middle = volume.index(attention.centre_mm)
    per_pixel = count / attention.edge_mm
    down, right = (
        (places - middle[axis]) * volume.spacing_mm[axis] * per_pixel + (count - 1) / 2
        for axis, places in ((1, rows), (2, columns))
    )
    weight = map_coordinates(attention.weight, np.meshgrid(down, right, indexing="ij"), order=1, output=np.float64)
    ordered = np.sort(weight, axis=None)[::-1]
    share = np.cumsum(ordered)
    least = ordered[np.searchsorted(share, ATTENTION_SHARE * share[-1])]
    region = weight >= 0.999 * max(least, np.finfo(np.float64).tiny)  # equal weights differ after interpolation
    rim: NDArray[np.bool_] = region & ~binary_erosion(region, iterations=ATTENTION_LINE_PX)
    return rim


def _draw_legend(sheet: Image.Image, levels: tuple[LevelEvidence, ...]) -> None:
    """Say at the foot what the outlines mean."""
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_PX)
    x = 8.0
    for colour, text, shown in (
        (USED_COLOUR, "region of interest (HU)", any(level.used for level in levels)),
        (UNUSED_COLOUR, "level not used", any(not level.used for level in levels)),
        (
            ATTENTION_COLOUR,
            f"where the network looked ({ATTENTION_SHARE:.0%})",
            any(level.attention is not None for level in levels),
        ),
    ):
        if shown:
            draw.text((x, sheet.height - CAPTION_PX + 4), text, fill=colour, font=font)
            x += draw.textlength(text, font=font) + 24


def caption(level: LevelEvidence) -> str:
    """Text over one level's picture."""
    bmd = "" if level.bmd_g_cm2 is None else f"   {level.bmd_g_cm2:.2f} g/cm2"
    return f"{level.vertebra.level}   {level.reading.mean_hu:.0f} HU{bmd}"


def _axial_slab(volume: Volume, middle: float) -> Floats:
    """Mean of the slices within 2.5 mm of a fractional slice index."""
    plane = int(np.clip(np.rint(middle), 0, len(volume.hu) - 1))
    half = int(AXIAL_SLAB_MM / 2 // volume.spacing_mm[0])
    slab: Floats = volume.hu[max(plane - half, 0) : plane + half + 1].mean(axis=0)
    return slab


def _sagittal(volume: Volume, levels: tuple[LevelEvidence, ...], height_px: int) -> Image.Image:
    """Curved reformat through the bodies' centres, cranial at the top, anterior on the left."""
    bodies = tuple(level.vertebra for level in levels)
    top = max(body.upper_z_mm for body in bodies) + SAGITTAL_MARGIN_MM
    bottom = min(body.lower_z_mm for body in bodies) - SAGITTAL_MARGIN_MM
    middle = float(np.mean([body.centre_mm[1] for body in bodies]))
    front, back = middle - SAGITTAL_AHEAD_MM, middle + SAGITTAL_BEHIND_MM
    picture = _sagittal_picture(
        volume, bodies, np.arange(top, bottom, -SAGITTAL_STEP_MM), np.arange(front, back, SAGITTAL_STEP_MM)
    )
    px_per_mm = height_px / (top - bottom)
    size = (round((back - front) * px_per_mm), height_px)
    image = _windowed(picture).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for level in levels:
        y_mm = level.vertebra.centre_mm[1] - front
        for plate in level.plates_mm or _straight_plates(level.vertebra):
            line = [((y - front) * px_per_mm, (top - z) * px_per_mm) for _, y, z in plate.tolist()]
            draw.line(line, fill=level.colour, width=2, joint="curve")
        _draw_name(draw, level, y_mm * px_per_mm, top, px_per_mm)
    return image


def _straight_plates(vertebra: Vertebra) -> tuple[Floats, ...]:
    """Lines (2, 3) across the axis of the body where nobody traced its plates."""
    x, y, _ = vertebra.centre_mm
    reach = END_PLATE_HALF_MM
    return tuple(np.array([(x, y - reach, z), (x, y + reach, z)]) for z in (vertebra.upper_z_mm, vertebra.lower_z_mm))


def _sagittal_picture(volume: Volume, bodies: tuple[Vertebra, ...], heights: Floats, depths: Floats) -> Floats:
    """Attenuation (heights, depths) in the plane that follows the bodies from side to side."""
    lateral = np.array([body_axis_mm(bodies, float(height))[0] for height in heights])
    points = np.empty((len(SAGITTAL_OFFSETS_MM), len(heights), len(depths), 3))
    points[..., 0] = lateral[None, :, None] + np.array(SAGITTAL_OFFSETS_MM)[:, None, None]
    points[..., 1] = depths
    points[..., 2] = heights[:, None]
    indices = np.moveaxis(volume.index(points), -1, 0)
    sampled = map_coordinates(volume.hu, indices, order=1, cval=-1024, output=np.float64)
    picture: Floats = sampled.mean(axis=0)
    return picture


def _draw_name(draw: ImageDraw.ImageDraw, level: LevelEvidence, x: float, top_mm: float, px_per_mm: float) -> None:
    """Write the name of one level in front of the body."""
    y = (top_mm - level.vertebra.centre_mm[2]) * px_per_mm
    font = ImageFont.load_default(FONT_PX + 3)
    draw.text(
        (x - END_PLATE_HALF_MM * px_per_mm - 8, y), level.vertebra.level, fill=level.colour, font=font, anchor="rm",
        stroke_width=2, stroke_fill=BACKGROUND,
    )  # fmt: skip


def _windowed(hu: Floats) -> Image.Image:
    """Grey picture of an attenuation plane in the display window, as RGB."""
    grey = np.clip((hu - WINDOW_CENTRE_HU) / WINDOW_WIDTH_HU + 0.5, 0, 1) * 255
    return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
