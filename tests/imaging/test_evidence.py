import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from screening.imaging.attenuation import TrabecularReading
from screening.imaging.evidence import UNUSED_COLOUR, USED_COLOUR, LevelEvidence, caption, evidence_png
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


def level(name, z, bmd=0.88, used=True):
    square = np.array([[-9.0, -6, z], [9, -6, z], [9, 6, z], [-9, 6, z]])
    reading = TrabecularReading(105.4, 20.0, 104.0, 216.0, 33.0, square)
    return LevelEvidence(Vertebra(name, (0.0, 0.0, z), z + 13, z - 13, 1.0), reading, bmd, used)


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
    unused = opened(evidence_png(volume, levels(4, used=False)))

    assert share_of(used, USED_COLOUR) > 0.002
    assert share_of(used, UNUSED_COLOUR) == 0
    assert share_of(unused, UNUSED_COLOUR) > 0.002
    assert share_of(unused, USED_COLOUR) == 0


def test_caption_names_level_attenuation_and_bmd():
    assert caption(level("L1", 0.0)) == "L1   105 HU   0.88 g/cm2"


def test_caption_of_a_level_that_does_not_count():
    assert caption(level("L3", 0.0, bmd=None, used=False)) == "L3   105 HU   not used"


def test_levels_at_the_edge_of_the_volume_are_drawn(volume):
    outside = (level("L1", 140.0), level("L2", -30.0))

    assert opened(evidence_png(volume, outside)).size > 0


def test_plain_tuples_are_enough(volume):
    plain = tuple(tuple(given) for given in levels(2))

    assert evidence_png(volume, plain) == evidence_png(volume, levels(2))


def test_a_picture_of_four_levels_stays_small(volume):
    noisy = np.random.default_rng(3).normal(60, 40, volume.hu.shape).astype(np.int16)
    given = Volume(noisy, volume.spacing_mm, volume.origin_mm, UPRIGHT, 2.5, 120.0)

    assert len(evidence_png(given, levels(4))) < 400_000


def test_nothing_is_written_to_disk(volume, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evidence_png(volume, levels(1))

    assert list(Path.cwd().iterdir()) == []
