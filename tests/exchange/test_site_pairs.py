from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from models.pairs import Pairs, read_pairs
from screening.exchange.pairs import PairedLevel, PairedPatient, SitePairs, pairs_of
from screening.imaging.hounsfield import Volume
from screening.imaging.lumbar import Vertebra

UPRIGHT = np.array([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])
BODY_HU, DISC_HU = 150, 60
BODY_MM, DISC_MM = 28.0, 10.0
L2_CENTRE_MM, L1_CENTRE_MM = 20.0, 20.0 + BODY_MM + DISC_MM


def spine_volume(kvp_kv: float = 120.0) -> Volume:
    """Slices of 1 mm: L2 up to 34 mm, a disc up to 44 mm, L1 up to 72 mm."""
    hu = np.full((80, 140, 140), BODY_HU, np.int16)
    hu[34:44] = DISC_HU
    return Volume(hu, (1.0, 1.0, 1.0), (-70.0, -70.0, 0.5), UPRIGHT, 1.0, kvp_kv)


def level(name: str, centre_z_mm: float) -> PairedLevel:
    half = BODY_MM / 2
    body = Vertebra(name, (0.0, 0.0, centre_z_mm), centre_z_mm + half, centre_z_mm - half, 1.0)
    return PairedLevel(body, used=True, attenuation_hu=140.0, body_depth_mm=33.0)


L1, L2 = level("L1", L1_CENTRE_MM), level("L2", L2_CENTRE_MM)
SOMEONE = PairedPatient("someone", bmd_dxa_g_cm2=0.9)


def test_every_used_level_gives_three_slabs_and_the_disc_below_it_one() -> None:
    pairs = pairs_of(spine_volume(), [L1, L2], SOMEONE)

    assert pairs.level.tolist() == ["L1"] * 4 + ["L2"] * 3
    assert pairs.is_body.tolist() == [True] * 3 + [False] + [True] * 3
    assert set(pairs.patient) == {"someone"}


def test_slabs_show_the_body_and_the_disc_slice_shows_the_disc() -> None:
    pairs = pairs_of(spine_volume(), [L1, L2], SOMEONE)

    assert pairs.crops_hu.shape == (7, 96, 96)
    np.testing.assert_allclose(pairs.crops_hu[pairs.is_body], BODY_HU)
    np.testing.assert_allclose(pairs.crops_hu[~pairs.is_body], DISC_HU)


def test_a_disc_slice_keeps_the_labels_of_the_level_above() -> None:
    above = replace(L1, attenuation_hu=80.0)

    disc = pairs_of(spine_volume(), [above, L2], SOMEONE)

    assert disc.level[~disc.is_body].tolist() == ["L1"]
    assert disc.hu120[~disc.is_body] == pytest.approx([80.0])


def test_every_slice_has_the_areal_bmd_of_the_patient() -> None:
    pairs = pairs_of(spine_volume(), [L1, L2], SOMEONE)

    assert pairs.bmd_g_cm2 == pytest.approx([0.9] * 7)


def test_a_level_that_was_not_used_gives_nothing_but_bounds_a_disc() -> None:
    pairs = pairs_of(spine_volume(), [L1, replace(L2, used=False)], SOMEONE)

    assert pairs.level.tolist() == ["L1"] * 4
    assert pairs.is_body.sum() == 3


def test_the_room_above_a_level_that_is_missing_is_no_disc() -> None:
    l3 = replace(L2, vertebra=replace(L2.vertebra, level="L3"))

    assert pairs_of(spine_volume(), [L1, l3], SOMEONE).is_body.all()


@pytest.mark.parametrize(("height_mm", "discs"), [(4.9, 0), (5.1, 1)])
def test_a_disc_lower_than_a_slab_is_left_out(height_mm: float, discs: int) -> None:
    upper_z_mm = L1.vertebra.lower_z_mm - height_mm
    below = replace(L2, vertebra=replace(L2.vertebra, upper_z_mm=upper_z_mm))

    assert (~pairs_of(spine_volume(), [L1, below], SOMEONE).is_body).sum() == discs


def test_attenuation_and_crops_are_brought_to_120_kv() -> None:
    pairs = pairs_of(spine_volume(kvp_kv=100.0), [L1, L2], SOMEONE)

    assert pairs.hu120 == pytest.approx([140.0 * 0.927] * 7)
    np.testing.assert_allclose(pairs.crops_hu[0], BODY_HU * 0.927, rtol=1e-3)


def test_what_is_not_known_is_nan() -> None:
    unknown = replace(L1, attenuation_hu=None, body_depth_mm=None)

    pairs = pairs_of(spine_volume(), [unknown], SOMEONE)

    assert np.isnan(pairs.hu120).all()
    assert np.isnan(pairs.depth_mm).all()


def test_training_reads_what_is_saved(tmp_path: Path) -> None:
    written = pairs_of(spine_volume(), [L1, L2], SOMEONE)
    written.save(tmp_path / "pairs.npz")

    read = read_pairs(tmp_path / "pairs.npz")

    assert [field.name for field in fields(SitePairs)] == [field.name for field in fields(Pairs)]
    np.testing.assert_array_equal(read.crops_hu, written.crops_hu)
    assert read.level.tolist() == written.level.tolist()


def test_the_file_is_closed_to_other_users(tmp_path: Path) -> None:
    pairs_of(spine_volume(), [L1], SOMEONE).save(tmp_path / "pairs.npz")

    assert (tmp_path / "pairs.npz").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.npz"]


def test_a_file_left_behind_passes_on_neither_permissions_nor_readers(tmp_path: Path) -> None:
    left_behind = tmp_path / "pairs.npz.writing"
    left_behind.touch()
    left_behind.chmod(0o666)

    with left_behind.open("rb") as reader:
        pairs_of(spine_volume(), [L1], SOMEONE).save(tmp_path / "pairs.npz")
        assert reader.read() == b""

    assert (tmp_path / "pairs.npz").stat().st_mode & 0o777 == 0o600


def test_a_failed_write_leaves_no_pictures_behind(tmp_path: Path) -> None:
    (tmp_path / "pairs.npz").mkdir()

    with pytest.raises(IsADirectoryError):
        pairs_of(spine_volume(), [L1], SOMEONE).save(tmp_path / "pairs.npz")

    assert [path.name for path in tmp_path.iterdir()] == ["pairs.npz"]
