"""Bench -> a picture of how fast each stage is and where the time of a first night goes."""

import math
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from screening.bench import Bench, Stage
from screening.errors import UserError

_WIDTH, _ROW, _MARGIN, _FONT_PX = 920, 30, 20, 15
_NAME_PX, _VALUE_PX = 190, 150  # room left and right of the bars
_BACKGROUND, _TEXT = (255, 255, 255), (30, 30, 30)
_FLOOR_COLOUR, _STAGE_COLOUR = (153, 153, 153), (0, 114, 178)
# Okabe-Ito: told apart by every colour vision
_SHARE_COLOURS: Final = ((86, 180, 233), (0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0))


def write_picture(bench: Bench, path: Path) -> None:
    """Draw a bench as a PNG file.

    Raises:
        UserError: the file cannot be written.
    """
    speeds = [stage for stage in bench.stages if stage.per_second]
    rows = len(speeds) + len(bench.time_shares) + 5
    sheet = Image.new("RGB", (_WIDTH, rows * _ROW + 2 * _MARGIN), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    row = _speeds(draw, speeds)
    _shares(draw, bench, row + 1)
    try:
        sheet.save(path, format="PNG")
    except OSError as error:
        raise UserError(f"Cannot write the picture {path}: {error.strerror}.") from error


def _speeds(draw: ImageDraw.ImageDraw, stages: list[Stage]) -> int:
    """Draw a bar a stage, its length the logarithm of its speed; return the next free row."""
    _write(draw, 0, _MARGIN, "Speed of one process; every grid line is ten times the one before")
    decades = math.ceil(max(math.log10(stage.per_second or 1) for stage in stages))
    for row, stage in enumerate(stages, start=1):
        speed = stage.per_second or 1
        colour = _FLOOR_COLOUR if stage.name.startswith("raw") else _STAGE_COLOUR
        _bar(draw, row, 0, max(math.log10(speed), 0.02) / decades, colour)
        _write(draw, row, _MARGIN, stage.name)
        _write(draw, row, _WIDTH - _VALUE_PX + 10, stage.speed)
    for decade in range(decades + 1):
        x = _x(decade / decades)
        draw.line([(x, _y(1)), (x, _y(len(stages) + 1) - 6)], fill=(200, 200, 200))
    return len(stages) + 1


def _shares(draw: ImageDraw.ImageDraw, bench: Bench, row: int) -> None:
    """Draw where the time of a study goes, one stage after the other."""
    studies = sum(bench.statuses.values())
    _write(draw, row, _MARGIN, f"Where the time of a first night goes ({studies} studies, files in memory)")
    start = 0.0
    for number, ((name, share), colour) in enumerate(zip(bench.time_shares.items(), _SHARE_COLOURS, strict=True)):
        _bar(draw, row + 1 + number, start, start + share, colour)
        _write(draw, row + 1 + number, _MARGIN, name)
        _write(draw, row + 1 + number, _WIDTH - _VALUE_PX + 10, f"{100 * share:.1f} %")
        start += share
    told = f"{bench.first_s:.2f} s a study at first touch, {bench.again_s:.2f} s with its files in memory"
    last = row + 2 + len(bench.time_shares)
    _write(draw, last, _MARGIN, f"{told}; {bench.told_of_studies}")


def _bar(draw: ImageDraw.ImageDraw, row: int, start: float, stop: float, colour: tuple[int, int, int]) -> None:
    draw.rectangle((_x(start), _y(row), max(_x(stop), _x(start) + 1), _y(row) + _ROW - 10), fill=colour)


def _x(share: float) -> float:
    left = _MARGIN + _NAME_PX
    return left + share * (_WIDTH - _VALUE_PX - left)


def _y(row: int) -> int:
    return _MARGIN + row * _ROW


def _write(draw: ImageDraw.ImageDraw, row: int, x: int, text: str) -> None:
    draw.text((x, _y(row)), text, fill=_TEXT, font=ImageFont.load_default(_FONT_PX))
