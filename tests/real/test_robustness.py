"""The degradations are what they are called, and the bundled CT is never named wrongly under them."""

from dataclasses import replace

import numpy as np
import pytest
from degraded import THICK_MM, WAYS_TO_WRITE, Written, mislabelled, noisy, osteoporotic, part, sparse, thick, windows
from localise import Truth
from real_ct import BUNDLED_COPIES, read_series
from robustness import Run, centres_of, file_run, mirrored, readable, run, simulated_runs, table, verdict_of

from screening.imaging.lumbar import LevelCertainty, LumbarSpine, Vertebra, find_lumbar_spine

HEIGHTS_MM = {"L1": 386.1, "L2": 351.9, "L3": 316.6, "L4": 278.9, "L5": 242.3}  # of the label map shipped with the CT
EXPECTED = {
    "feet first": {"right"},
    "head first prone": {"right"},
    "turned by 90 degrees": {"right"},
    "slices in mirrored order": {"right"},
    "a slice twice": {"duplicate_positions"},
    "a slice missing": {"missing_slices"},
    "a slice of another patient": {"mixed_patients"},
    "a slice of another patient under this name": {"implausible_hu"},
}


@pytest.fixture(scope="module")
def bundled():
    return read_series(BUNDLED_COPIES["TS_example"])


@pytest.fixture(scope="module")
def centres():
    return centres_of([Truth("", "", level, z, None) for level, z in HEIGHTS_MM.items()])


@pytest.fixture(scope="module")
def vertebrae(bundled):
    return find_lumbar_spine(bundled).vertebrae


def spine(level, z_mm, certainty=LevelCertainty.CERTAIN):
    return LumbarSpine((Vertebra(level, (0.0, 0.0, z_mm), z_mm + 13, z_mm - 13, 1.0),), certainty, "")


def test_neighbours_nobody_measured_lie_at_the_usual_distance(centres):
    assert centres["T12"] == pytest.approx(386.1 + 36, abs=2)
    assert centres["S1"] == pytest.approx(242.3 - 36, abs=2)


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (spine("L3", 320.0), "right"),
        (spine("L3", 329.0), "WRONG"),
        (spine("L2", 320.0), "WRONG"),
        (spine("L2", 320.0, LevelCertainty.UNCERTAIN), "uncertain"),
        (spine("T12", 458.0), "WRONG"),
    ],
)
def test_a_verdict_depends_on_name_and_place(found, verdict, centres):
    assert verdict_of(found, centres) == verdict


def test_windows_cover_every_length_and_the_whole(bundled):
    cut = list(windows(bundled, 100.0, (100.0, 300.0)))

    assert [(name, len(volume.hu)) for name, volume in cut] == [
        ("window of 100 mm", 33),
        ("window of 100 mm", 33),
        ("window of 100 mm", 33),
        ("window of 300 mm", 100),
        ("whole", 112),
    ]


def test_a_part_keeps_its_place(bundled):
    cut = part(bundled, 10, 40)

    assert cut.patient_mm(np.zeros(3)) == pytest.approx(bundled.patient_mm(np.array([10.0, 0, 0])))
    assert np.array_equal(cut.hu, bundled.hu[10:40])


@pytest.mark.parametrize("change", [thick, sparse])
def test_thick_and_sparse_slices_lie_five_millimetres_apart(bundled, change):
    changed = change(bundled)

    last = changed.patient_mm(np.array([len(changed.hu) - 1.0, 0, 0]))[2]
    assert changed.spacing_mm[0] == THICK_MM
    assert last == pytest.approx(bundled.patient_mm(np.array([111.0, 0, 0]))[2], abs=THICK_MM)


def test_noise_has_the_spread_asked_for(bundled):
    added = noisy(bundled, 20.0).hu.astype(float) - bundled.hu

    assert added[bundled.hu > -900].std() == pytest.approx(20, abs=1)


def test_lowered_bone_has_the_attenuation_asked_for(bundled, vertebrae):
    lowered = osteoporotic(bundled, vertebrae)

    middle = bundled.index(np.array(vertebrae[2].centre_mm)).round().astype(int)
    interior = tuple(slice(at - 2, at + 3) for at in middle)
    assert bundled.hu[interior].mean() > 90
    assert lowered.hu[interior].mean() == pytest.approx(60, abs=25)
    assert lowered.hu.max() == bundled.hu.max()


def test_two_whole_bodies_make_a_window_readable(bundled, centres):
    slices = [round((z - bundled.origin_mm[2]) / 3.0) for z in (centres["L2"] - 20, centres["L1"] + 20)]

    assert readable(part(bundled, slices[0], slices[1]), centres)
    assert not readable(part(bundled, slices[0] + 3, slices[1]), centres)


@pytest.mark.parametrize("number", range(6))
def test_a_header_that_contradicts_the_pixels_gives_no_confident_wrong_level(bundled, centres, number):
    wrong = mislabelled(bundled)[number]

    judged = run("", wrong.name, wrong.volume, mirrored(centres, bundled) if wrong.upside_down else centres)

    assert judged.verdict != "WRONG"


@pytest.mark.parametrize("degrade", [thick, lambda volume: noisy(volume, 40.0)], ids=["5 mm", "noise SD 40"])
def test_degraded_pixels_keep_their_names(bundled, centres, degrade):
    assert run("", "", degrade(bundled), centres).verdict == "right"


def test_lowered_bone_keeps_its_names(bundled, centres, vertebrae):
    assert run("", "", osteoporotic(bundled, vertebrae), centres).verdict == "right"


@pytest.mark.parametrize("way", WAYS_TO_WRITE, ids=lambda way: way.name)
def test_each_way_of_writing_ends_as_it_should(bundled, centres, way):
    stranger = replace(bundled, hu=bundled.hu[:, ::-1])

    assert file_run("", bundled, stranger, centres, way).verdict in EXPECTED[way.name]


def test_the_table_counts_verdicts_and_names_what_is_wrong():
    runs = [
        Run("A", "whole", "right", True, ""),
        Run("A", "whole", "no_lumbar", False, ""),
        Run("B", "whole", "WRONG", True, "L2@300"),
    ]

    text = table(runs)

    assert "| whole | 3 | 2 | 1 | 0 | 1 no_lumbar | 1 | 50% |" in text
    assert "WRONG: B, whole: L2@300" in text


def test_an_ordinary_way_to_write_is_read_back_as_it_was(bundled, centres):
    assert file_run("", bundled, bundled, centres, Written("plain")).verdict == "right"


def test_a_simulated_person_is_never_named_wrongly():
    runs = list(simulated_runs(1))

    assert len(runs) == 7
    assert "WRONG" not in {one.verdict for one in runs}


def test_low_bone_cut_in_the_middle_of_a_body_is_not_taken_for_a_lower_body(bundled, centres, vertebrae):
    last = round((centres["L2"] + 4.0 - bundled.origin_mm[2]) / 3.0)

    judged = run("", "", part(osteoporotic(bundled, vertebrae), 20, last), centres)

    assert judged.verdict != "WRONG"
    assert "L2@" not in judged.detail
