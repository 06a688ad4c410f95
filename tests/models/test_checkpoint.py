import dataclasses
import hashlib

import pytest
import torch
from safetensors.torch import save_file

from models.bmd_cnn import BmdCnn, Calibration, NetworkConfig
from models.checkpoint import Checkpoint, bundled, load, networks, save


@pytest.fixture
def checkpoint():
    torch.manual_seed(0)
    members = tuple(BmdCnn(NetworkConfig()).state_dict() for _ in range(2))
    return Checkpoint(
        name="small",
        data_kind="simulated",
        network=NetworkConfig(),
        calibration=Calibration(0.6, 0.0025, "test"),
        input_spec={"size_px": 64, "pixel_mm": 1.25},
        interval_half_width_g_cm2=0.1,
        metrics={"pearson_r": 0.9, "n_patients": 45.0},
        reference="simulated DXA",
        training={"command": "python -m models.training"},
        members=members,
    )


@pytest.fixture
def saved(checkpoint, tmp_path):
    return save(checkpoint, tmp_path / "small.safetensors"), tmp_path / "small.safetensors"


def test_what_was_saved_is_loaded(saved):
    checkpoint, path = saved

    loaded = load(path)

    assert dataclasses.replace(loaded, members=()) == dataclasses.replace(checkpoint, members=())
    assert all(
        torch.equal(tensor, again[key])
        for member, again in zip(checkpoint.members, loaded.members, strict=True)
        for key, tensor in member.items()
    )


def test_the_hash_is_that_of_the_file(saved):
    _, path = saved

    assert load(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_saving_again_gives_the_same_file(saved, tmp_path):
    checkpoint, _ = saved

    assert {save(checkpoint, tmp_path / f"{copy}.safetensors").sha256 for copy in range(8)} == {checkpoint.sha256}


def test_loaded_members_are_ready_to_read(saved):
    _, path = saved

    members = networks(load(path))

    assert len(members) == 2
    assert not any(member.training for member in members)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nowhere.safetensors cannot be read"):
        load(tmp_path / "nowhere.safetensors")


def test_a_truncated_file_is_refused(saved):
    _, path = saved
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(ValueError, match="cannot be read as a BMD_CNN checkpoint"):
        load(path)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    path = tmp_path / "text.safetensors"
    path.write_text("not a checkpoint at all, but long enough to have a header")

    with pytest.raises(ValueError, match="cannot be read as a BMD_CNN checkpoint"):
        load(path)


def test_a_foreign_network_is_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata={"format": "pt"})

    with pytest.raises(ValueError, match="no BMD_CNN checkpoint: its header lacks bmd_cnn/2"):
        load(path)


def test_a_damaged_header_is_refused(tmp_path):
    path = tmp_path / "header.safetensors"
    save_file({"weight": torch.zeros(3)}, path, metadata={"bmd_cnn/2": "{}"})

    with pytest.raises(ValueError, match="damaged header"):
        load(path)


def test_weights_of_another_shape_are_refused(checkpoint, tmp_path):
    wide = dataclasses.replace(checkpoint, network=NetworkConfig(channels=(8, 16, 32)))
    save(wide, tmp_path / "wide.safetensors")

    with pytest.raises(ValueError, match="does not fit the network"):
        load(tmp_path / "wide.safetensors")


def test_weights_that_are_not_finite_are_refused(checkpoint, tmp_path):
    checkpoint.members[1]["look.bias"][0] = float("nan")
    save(checkpoint, tmp_path / "nan.safetensors")

    with pytest.raises(ValueError, match="not finite"):
        load(tmp_path / "nan.safetensors")


def test_a_checkpoint_without_members_is_refused(checkpoint, tmp_path):
    with pytest.raises(ValueError, match="no members"):
        save(dataclasses.replace(checkpoint, members=()), tmp_path / "empty.safetensors")


def test_an_unknown_kind_of_data_is_refused(checkpoint, tmp_path):
    with pytest.raises(ValueError, match="expected one of simulated, site"):
        save(dataclasses.replace(checkpoint, data_kind="unknown"), tmp_path / "kind.safetensors")


def test_the_bundled_weights_are_one_small_ensemble_from_simulated_data():
    checkpoint = load(bundled())

    assert checkpoint.data_kind == "simulated"
    assert bundled().stat().st_size < 4_000_000
    assert len(checkpoint.members) == 2
    assert checkpoint.metrics["n_patients"] >= 45
