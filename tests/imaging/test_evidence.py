import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from screening.imaging.attenuation import TrabecularReading
from screening.imaging.evidence import (
    ATTENTION_COLOUR,
    CAPTION_PX,
    TILE_MM,
    TILE_PX,
    UNUSED_COLOUR,
    USED_COLOUR,
    AttentionMap,
    LevelEvidence,
    caption,
    evidence_png,
)
from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

UPRIGHT = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
CENTRES_Z = (102.0, 68.0, 34.0, 0.0)


@pytest.fixture(scope="module")
def volume():
    """Soft tissue, with a bright block on the patient's left and behind the bodies."""
    hu = np.full((70, 200, 160), 40, np.int16)
    hu[:, 60:, 80:] = 500
    return Volume(hu, (2.5, 1.0, 1.0), (-80.0, -60.0, -30.0), UPRIGHT, 2.5, 120.0)


def looked_at(rows, columns, z):
    """Attention spread evenly over some pixels of 2.5 mm around the body's centre."""
    weight = np.zeros((32, 32), np.float32)
    weight[rows, columns] = 1
    return AttentionMap(weight / weight.sum(), np.array([0.0, 0, z]), 80.0)


def level(name, z, bmd=0.88, problem="", attention=None, plates=()):
    square = np.array([[-9.0, -6, z], [9, -6, z], [9, 6, z], [-9, 6, z]])
    reading = TrabecularReading(105.4, 20.0, 104.0, 216.0, 33.0, square, 2 * square)
    return LevelEvidence(Vertebra(name, (0.0, 0.0, z), z + 13, z - 13, 1.0), reading, bmd, problem, attention, plates)


def levels(count, **changes):
    return tuple(level(f"L{k + 1}", z, **changes) for k, z in enumerate(CENTRES_Z[:count]))


def opened(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def share_of(picture, colour):
    return np.mean(np.abs(picture - colour).max(axis=-1) < 3)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_any_number_of_levels_makes_one_picture(volume, count):
    picture = opened(evidence_png(volume, levels(count)))

    assert picture.shape[0] > 280
    assert picture.shape[1] > 400


def test_the_same_readings_make_the_same_bytes(volume):
    assert evidence_png(volume, levels(4)) == evidence_png(volume, levels(4))


def test_the_patients_left_is_on_the_right_and_the_back_below(volume):
    picture = opened(evidence_png(volume, levels(4))).mean(axis=-1)
    tile = picture[26:314, -288:]

    assert tile[-60:, -60:].mean() > tile[-60:, :60].mean() + 100
    assert tile[-60:, -60:].mean() > tile[:60, -60:].mean() + 100


def test_regions_and_end_plates_are_drawn_in_the_colour_of_use(volume):
    used = opened(evidence_png(volume, levels(4)))
    unused = opened(evidence_png(volume, levels(4, problem="height loss")))

    assert share_of(used, USED_COLOUR) > 0.002
    assert share_of(used, UNUSED_COLOUR) == 0
    assert share_of(unused, UNUSED_COLOUR) > 0.002
    assert share_of(unused, USED_COLOUR) == 0


def test_caption_names_level_attenuation_and_bmd():
    assert caption(level("L1", 0.0)) == "L1   105 HU   0.88 g/cm2"


def test_caption_of_a_level_without_value():
    assert caption(level("L3", 0.0, bmd=None)) == "L3   105 HU"


def test_the_reason_is_written_into_the_picture_of_a_level_that_does_not_count(volume):
    plain = opened(evidence_png(volume, levels(1, problem=" ")))
    reasoned = opened(evidence_png(volume, levels(1, problem="metal or cement")))

    foot = slice(CAPTION_PX + TILE_PX - 30, CAPTION_PX + TILE_PX)
    assert share_of(reasoned[foot, -TILE_PX:], UNUSED_COLOUR) > share_of(plain[foot, -TILE_PX:], UNUSED_COLOUR)


def test_plates_are_drawn_where_they_were_traced(volume):
    slanted = (np.array([[0.0, -15.0, 55.0], [0.0, 15.0, 40.0]]), np.array([[0.0, -15.0, 20.0], [0.0, 15.0, 20.0]]))
    straight = opened(evidence_png(volume, (level("L1", 34.0),)))
    traced = opened(evidence_png(volume, (level("L1", 34.0, plates=slanted),)))

    rows = np.nonzero(np.abs(traced[:-CAPTION_PX, :-TILE_PX] - USED_COLOUR).max(axis=-1) < 3)[0]
    flat = np.nonzero(np.abs(straight[:-CAPTION_PX, :-TILE_PX] - USED_COLOUR).max(axis=-1) < 3)[0]
    assert len(np.unique(rows)) > len(np.unique(flat)) + 20


def test_levels_at_the_edge_of_the_volume_are_drawn(volume):
    outside = (level("L1", 140.0), level("L2", -30.0))

    assert opened(evidence_png(volume, outside)).size > 0


def tile_marks(volume, attention):
    """Rows and columns of the marked pixels in the tile of a single level."""
    picture = opened(evidence_png(volume, (level("L1", 34.0, attention=attention),)))
    tile = picture[CAPTION_PX : CAPTION_PX + TILE_PX, -TILE_PX:]
    return np.nonzero(np.abs(tile - ATTENTION_COLOUR).max(axis=-1) < 3)


def test_the_place_the_network_looked_at_is_outlined(volume):
    rows, columns = tile_marks(volume, looked_at(slice(18, 26), slice(4, 12), 34.0))

    px_per_mm = TILE_PX / TILE_MM
    body_row, body_column = TILE_PX / 2 - 14.0 * px_per_mm, TILE_PX / 2
    assert rows.mean() == pytest.approx(body_row + 15.0 * px_per_mm, abs=4)
    assert columns.mean() == pytest.approx(body_column - 20.0 * px_per_mm, abs=4)
    assert np.ptp(rows) == pytest.approx(20.0 * px_per_mm, abs=8)


def test_what_lies_inside_the_outline_stays_visible(volume):
    rows, columns = tile_marks(volume, looked_at(slice(10, 22), slice(10, 22), 34.0))

    centre = (np.abs(rows - rows.mean()) < 20) & (np.abs(columns - columns.mean()) < 20)
    assert not centre.any()


def test_a_network_that_does_not_tell_where_it_looked_marks_nothing(volume):
    assert len(tile_marks(volume, None)[0]) == 0


def test_attention_in_one_place_and_attention_everywhere_are_drawn(volume):
    everywhere = looked_at(slice(0, 32), slice(0, 32), 34.0)
    point = looked_at(slice(16, 17), slice(16, 17), 34.0)

    assert len(tile_marks(volume, point)[0]) > 0
    assert len(tile_marks(volume, everywhere)[0]) > 0


def test_the_legend_names_what_is_drawn(volume):
    plain = opened(evidence_png(volume, levels(1)))
    shown = opened(evidence_png(volume, levels(1, attention=looked_at(slice(12, 20), slice(12, 20), 102.0))))

    assert share_of(plain[-CAPTION_PX:], USED_COLOUR) > 0
    assert share_of(plain[-CAPTION_PX:], ATTENTION_COLOUR) == 0
    assert share_of(shown[-CAPTION_PX:], ATTENTION_COLOUR) > 0


def test_a_picture_of_four_levels_stays_small(volume):
    noisy = np.random.default_rng(3).normal(60, 40, volume.hu.shape).astype(np.int16)
    given = Volume(noisy, volume.spacing_mm, volume.origin_mm, UPRIGHT, 2.5, 120.0)
    looked = looked_at(slice(10, 22), slice(10, 22), 34.0)

    assert len(evidence_png(given, levels(4, attention=looked))) < 400_000


def test_nothing_is_written_to_disk(volume, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evidence_png(volume, levels(1))

    assert list(Path.cwd().iterdir()) == []
