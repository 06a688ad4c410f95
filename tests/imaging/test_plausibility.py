import numpy as np
import pytest

from screening.errors import Excluded, Exclusion
from screening.imaging.plausibility import refuse_implausible

SLICES, ROWS, COLUMNS = 30, 160, 200


def trunk(noise_hu=0.0):
    """Soft tissue with a bright column that wanders and organs that swell from slice to slice, air around."""
    k, y, x = np.meshgrid(
        np.arange(SLICES), np.linspace(-100, 100, ROWS), np.linspace(-125, 125, COLUMNS), indexing="ij"
    )
    hu = np.full(k.shape, -1000.0)
    hu[(x / 110) ** 2 + (y / 85) ** 2 < 1] = -100
    hu[((x - 40) / (20 + k)) ** 2 + (y / 40) ** 2 < 1] = 50
    hu[(x - k + 15) ** 2 + (y - 45) ** 2 < 18**2] = 250
    hu += np.random.default_rng(5).normal(0, noise_hu, hu.shape)
    return np.rint(hu).astype(np.int16)


def changed(change, at=12):
    hu = trunk(noise_hu=15.0)
    hu[at] = change(hu[at])
    return hu


def reason(hu):
    with pytest.raises(Excluded) as raised:
        refuse_implausible(hu)
    return raised.value.reason


@pytest.mark.parametrize("noise_hu", [0.0, 15.0, 60.0])
def test_a_trunk_is_plausible(noise_hu):
    refuse_implausible(trunk(noise_hu))


@pytest.mark.parametrize("every", [2, 3, 5])
def test_thick_slices_of_a_trunk_are_plausible(every):
    refuse_implausible(trunk(15.0)[::every])


def test_thin_slices_of_a_trunk_are_plausible():
    refuse_implausible(np.repeat(trunk(0.0), 2, axis=0))


@pytest.mark.parametrize("slices", [1, 2, 3])
def test_few_slices_are_plausible(slices):
    refuse_implausible(trunk(15.0)[:slices])


STRANGE = {
    "of somebody who lies elsewhere": lambda picture: np.roll(picture, (20, 25), axis=(0, 1)),
    "mirrored": lambda picture: picture[:, ::-1],
    "another rescale": lambda picture: picture + 300,
    "of somebody thinner": lambda picture: np.where(np.abs(np.linspace(-1, 1, COLUMNS)) < 0.6, picture, -1000),
    "astray from two thirds on": lambda picture: np.concatenate([picture[:107], np.roll(picture[107:], 30, axis=1)]),
    "cut and filled up": lambda picture: np.concatenate([picture[:120], np.full_like(picture[120:], 30)]),
}


@pytest.mark.parametrize("change", STRANGE.values(), ids=STRANGE.keys())
def test_one_strange_slice_among_good_ones_is_refused(change):
    assert reason(changed(change)) is Exclusion.IMPLAUSIBLE_HU


SHIFTED = {
    "first": slice(0, 1),
    "first two": slice(0, 2),
    "two inside": slice(12, 14),
    "ten inside": slice(10, 20),
    "first ten": slice(0, 10),
    "last": slice(SLICES - 1, SLICES),
    "last ten": slice(SLICES - 10, SLICES),
}


@pytest.mark.parametrize("every", [1, 2], ids=["thin", "thick"])
@pytest.mark.parametrize("where", SHIFTED.values(), ids=SHIFTED.keys())
def test_a_block_of_somebody_who_lies_elsewhere_is_refused_wherever_it_is(where, every):
    hu = trunk(noise_hu=15.0)
    hu[where] = np.roll(hu[where], (20, 25), axis=(1, 2))
    if every == 2:
        hu = np.concatenate([hu[:1], hu[1:-1:2], hu[-1:]])

    assert reason(hu) is Exclusion.IMPLAUSIBLE_HU


def test_a_stack_that_changes_over_to_somebody_else_says_where_it_breaks():
    hu = trunk(noise_hu=15.0)
    hu[12:] = np.roll(hu[12:], 25, axis=2)

    with pytest.raises(Excluded, match=r"1 of 29 steps between slices abrupt, by"):
        refuse_implausible(hu)


def test_a_streak_from_metal_in_one_slice_is_no_strange_slice():
    def with_streak(picture):
        streaked = picture.copy()
        streaked[70:76, 60:160] = 3000
        return streaked

    refuse_implausible(changed(with_streak))


def test_the_reason_holds_the_count():
    with pytest.raises(Excluded, match=r"1 of 30 slices unlike both neighbours"):
        refuse_implausible(changed(lambda picture: picture[:, ::-1]))
