import numpy as np
from examples import GAP_PX, GREYS, INPUT_PX, ZOOM, first_of_each, main, tile
from PIL import Image

EDGE_PX = INPUT_PX * ZOOM


def test_the_window_runs_from_black_to_white():
    assert np.all(tile(np.full((INPUT_PX, INPUT_PX), -100.0, np.float32), None) == 0)
    assert np.all(tile(np.full((INPUT_PX, INPUT_PX), 300.0, np.float32), None) == GREYS - 1)


def test_the_rim_of_the_attention_is_outlined():
    attention = np.zeros((40, 40), np.float32)
    attention[16:24, 16:24] = 1 / 64

    outlined = tile(np.zeros((INPUT_PX, INPUT_PX), np.float32), attention) == GREYS

    assert outlined.any()
    assert not outlined[: EDGE_PX // 3].any()
    assert not outlined[EDGE_PX // 2, EDGE_PX // 2]


def test_each_patient_is_shown_once():
    crops = np.arange(4.0)[:, None, None] * np.ones((4, 96, 96))

    shown = first_of_each(crops, np.array(["a", "b", "a", "b"]), np.array([False, True, True, True]))

    assert shown[:, 0, 0].tolist() == [2.0, 1.0]
    assert shown.shape == (2, INPUT_PX, INPUT_PX)


def test_the_page_has_real_and_simulated_bodies_and_discs(tmp_path):
    assert main(["--output", str(tmp_path / "examples.png")]) == 0

    with Image.open(tmp_path / "examples.png") as picture:
        assert picture.size == (6 * (EDGE_PX + GAP_PX), 4 * (EDGE_PX + GAP_PX))
