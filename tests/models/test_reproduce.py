import dataclasses
import json

import numpy as np
import pytest
import torch

from models import reproduce as reproduction
from models.bmd_cnn import NetworkConfig
from models.checkpoint import bundled, load
from models.reproduce import (
    Design,
    Workplace,
    choose_slices,
    design_document,
    evaluate,
    main,
    paper_config,
    reproduce,
)
from models.reproduce_tables import design_table

SMALL = Design(training=6, slices=50, internal=12, external=16, large=0)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture
def place(work):
    return Workplace(work, seed=5, processes=1, line_patients=8, contours=False)


def small_config():
    config = paper_config(SMALL, seed=5, members=1)
    return dataclasses.replace(config, steps=4, batch=8, network=NetworkConfig(channels=(8, 12, 16)))


def refuse(*given):
    raise AssertionError("trained again")


def test_the_design_is_the_papers():
    design = Design()
    config = paper_config(design, seed=1, members=1)

    assert (design.training, design.slices, design.internal, design.external) == (183, 1665, 45, 50)
    assert config.steps * config.batch == pytest.approx(99_900, abs=config.batch)
    assert (config.augmentation, config.phantoms) == ("paper", 0)


def test_training_slices_are_dealt_evenly_to_patients(pairs):
    chosen = choose_slices(pairs, 90, seed=1)

    _, counts = np.unique(chosen.patient, return_counts=True)
    assert len(chosen) == 90
    assert (len(counts), counts.min(), counts.max()) == (80, 1, 2)
    assert np.array_equal(choose_slices(pairs, 90, seed=1).crops_hu, chosen.crops_hu)


def test_more_slices_than_there_are_cannot_be_chosen(pairs):
    with pytest.raises(ValueError, match="321 training slices are wanted, the patients have 320"):
        choose_slices(pairs, 321, seed=1)


def test_the_design_trains_and_measures_patients_of_both_institutions(place):
    measured = reproduce(place, SMALL, small_config())

    assert list(measured) == ["internal", "external"]
    assert (measured["internal"].n, measured["external"].n) == (12, 16)
    assert sorted(path.name for path in place.work.glob("*.npz")) == [
        "pairs-institution1-seed5-patients1to6.npz",
        "pairs-institution1-seed5-patients500001to500008.npz",
        "pairs-institution1-seed5-patients7to18.npz",
        "pairs-institution2-seed5-patients1to16.npz",
    ]


def test_coverage_is_not_told_of_the_patients_that_set_the_interval(place):
    measured = reproduce(place, SMALL, small_config())

    sets = design_document(measured, SMALL, small_config())["sets"]

    assert [name for name in sets["internal"] if "coverage" in name] == []
    assert {"coverage", "coverage_low", "coverage_high"} <= sets["external"].keys()
    assert sets["internal"].keys() <= sets["external"].keys()
    assert "overage" not in design_table(measured)


def test_what_is_trained_is_not_trained_again(place, monkeypatch):
    first = reproduce(place, SMALL, small_config())
    monkeypatch.setattr(reproduction, "train_members", refuse)

    assert reproduce(place, SMALL, small_config()) == first
    with pytest.raises(AssertionError, match="trained again"):
        reproduce(place, SMALL, dataclasses.replace(small_config(), steps=5))


def test_the_bundled_weights_read_patients_they_have_not_seen(place):
    measured = evaluate(place, 16, load(bundled()))

    assert measured.readers["cnn"].r.value > 0.75
    assert measured.readers["ceiling"].r.value > 0.99


def test_the_command_writes_and_prints_the_same_table(work, tmp_path, capsys):
    path = tmp_path / "evaluation.json"

    options = ["--evaluate", "--patients", "16", "--line-patients", "8", "--no-contours", "--seed", "5"]
    status = main([*options, "--work", str(work), "--json", str(path)])

    document = json.loads(path.read_text())
    assert status == 0
    assert document["n"] == 16
    assert document["patients"].startswith("simulated")
    assert document["checkpoint_sha256"] == load(bundled()).sha256
    assert {"r_hu_regression", "auc_gain", "mae_gain_low", "groups", "groups_beyond_limit"} <= document.keys()
    assert capsys.readouterr().out == path.with_suffix(".md").read_text()
    assert path.with_suffix(".svg").read_text().count('r="2.5"') == 16


def test_one_class_ends_the_command_in_one_line(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = tmp_path / "evaluation.json"

    options = ["--evaluate", "--patients", "4", "--line-patients", "4", "--no-contours", "--seed", "2"]
    status = main([*options, "--processes", "1", "--json", str(path)])

    assert status == 1
    assert "AUC is undefined" in caplog.messages[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--patients", "100"], "--patients is of no use without --evaluate"),
        (["--evaluate", "--large", "5"], "--large is of no use with --evaluate"),
        (["--evaluate", "--patients", "3"], "--patients must be 4 or more, found 3"),
        (["--line-patients", "3"], "--line-patients must be 4 or more, found 3"),
        (["--seed", "-1"], "--seed must be 0 or more"),
        (["--json", "no/such/folder/a.json"], "--json: there is no folder no/such/folder"),
    ],
)
def test_wrong_options_end_the_command(wrong, said, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(wrong)
    assert said in capsys.readouterr().err
