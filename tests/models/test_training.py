import dataclasses
import json
import logging

import numpy as np
import pytest
import torch

from models import ensemble, training
from models.augmentation import central
from models.bmd_cnn import NetworkConfig
from models.checkpoint import load, networks
from models.ensemble import Provenance, TrainingConfig, one_cycle
from models.evaluation import patient_bmd, read_slices
from models.pairs import BESIDE, Shares, read_beside, split_by_patient
from models.training import main, train

SHORT = TrainingConfig(
    seed=2, members=1, phantoms=20, steps=6, batch=8, report_every=5, network=NetworkConfig(channels=(8, 12, 16))
)
PROVENANCE = Provenance(name="short", data_kind="simulated", command="test")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def written(pairs, tmp_path):
    path = tmp_path / "pairs.npz"
    np.savez(path, **{field.name: getattr(pairs, field.name) for field in dataclasses.fields(pairs)})
    return path


def interrupt(*given):
    raise KeyboardInterrupt


def of_nobody_measured(pairs):
    return dataclasses.replace(pairs, patient=np.char.add(BESIDE, pairs.patient))


def test_training_learns_to_read_patients_it_has_not_seen(pairs, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="models.training")
    config = dataclasses.replace(SHORT, steps=100, batch=16, augmentation="paper")

    checkpoint = train(pairs, config, PROVENANCE, tmp_path / "short.safetensors")

    losses = [record.args[1] for record in caplog.records if record.msg.startswith("%s loss")]
    assert losses[-1] < losses[0]
    assert checkpoint.metrics["n_patients"] == 12
    assert checkpoint.metrics["pearson_r"] > 0.9
    assert load(tmp_path / "short.safetensors").sha256 == checkpoint.sha256
    written = json.loads((tmp_path / "short.json").read_text())
    assert written["sha256"] == checkpoint.sha256
    assert checkpoint.metrics.items() <= written.items()


def test_patients_trained_on_are_read_right_on_average(pairs, tmp_path):
    checkpoint = train(pairs, SHORT, PROVENANCE, tmp_path / "short.safetensors")

    training = split_by_patient(pairs, SHORT.seed, SHORT.calibration_share, SHORT.validation_share).training
    readings = read_slices(networks(checkpoint), checkpoint.calibration, training, SHORT.size_px)
    read, reference = patient_bmd(readings, training)
    assert np.mean(read - reference) == pytest.approx(0.0, abs=1e-4)
    assert np.mean(np.abs(read - reference)) > 0.01  # six steps: single patients are not


def test_too_few_calibration_patients_are_told_before_training(pairs, tmp_path):
    config = dataclasses.replace(SHORT, calibration_share=0.1)

    with pytest.raises(ValueError, match="8 calibration patients are too few"):
        train(pairs, config, PROVENANCE, tmp_path / "short.safetensors")

    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_gives_the_same_weights(pairs, tmp_path):
    first = train(pairs, SHORT, PROVENANCE, tmp_path / "first.safetensors")
    again = train(pairs, SHORT, PROVENANCE, tmp_path / "again.safetensors")

    assert first.sha256 == again.sha256


def test_an_interrupted_training_ends_as_if_it_had_not_been(pairs, tmp_path, monkeypatch):
    whole = train(pairs, SHORT, PROVENANCE, tmp_path / "whole.safetensors")
    uncut = ensemble.batch_loss
    outcomes = iter([uncut] * 5)
    monkeypatch.setattr(ensemble, "batch_loss", lambda *given: next(outcomes, interrupt)(*given))
    with pytest.raises(KeyboardInterrupt):
        train(pairs, SHORT, PROVENANCE, tmp_path / "cut.safetensors")
    monkeypatch.undo()

    resumed = train(pairs, SHORT, PROVENANCE, tmp_path / "cut.safetensors")

    assert resumed.sha256 == whole.sha256
    assert not (tmp_path / "cut.safetensors.progress").exists()


@pytest.mark.parametrize("other", ["pairs", "beside", "start_from"])
def test_what_is_left_of_a_training_on_other_contents_is_not_taken_up(pairs, tmp_path, monkeypatch, other):
    brighter = dataclasses.replace(pairs, crops_hu=pairs.crops_hu + np.float32(1.0))
    first = train(pairs, SHORT, PROVENANCE, tmp_path / "first.safetensors")
    contents = {"pairs": pairs, "beside": of_nobody_measured(pairs), "start_from": first}
    others = {
        "pairs": brighter,
        "beside": of_nobody_measured(brighter),
        "start_from": dataclasses.replace(first, sha256="of another file"),
    }
    lessons = []
    monkeypatch.setattr(training, "train_members", lambda *given: lessons.append(given) or interrupt())

    for material in (contents, contents, contents | {other: others[other]}):
        with pytest.raises(KeyboardInterrupt):
            train(config=SHORT, provenance=PROVENANCE, output=tmp_path / "cut.safetensors", **material)

    keys = [progress.key for *_, progress in lessons]
    assert keys[0] == keys[1] != keys[2]


def test_site_pairs_without_attenuation_need_a_checkpoint_to_start_from(pairs, tmp_path):
    unmeasured = dataclasses.replace(pairs, hu120=np.full_like(pairs.hu120, np.nan))
    with pytest.raises(ValueError, match="--start-from"):
        train(unmeasured, SHORT, PROVENANCE, tmp_path / "site.safetensors")

    bundled_like = train(pairs, SHORT, PROVENANCE, tmp_path / "first.safetensors")
    site = train(unmeasured, SHORT, PROVENANCE, tmp_path / "site.safetensors", start_from=bundled_like)

    assert site.calibration == bundled_like.calibration
    assert "hu_rmse" not in site.metrics
    assert np.isfinite(site.metrics["rmse_g_cm2"])


def test_the_command_goes_on_with_the_network_it_starts_from(pairs, written, tmp_path):
    network = NetworkConfig(channels=(8, 12, 16), beyond_channels=None)
    first = tmp_path / "first.safetensors"
    train(pairs, dataclasses.replace(SHORT, network=network), PROVENANCE, first)

    status = main(
        [str(written), "--output", str(tmp_path / "site.safetensors"), "--data-kind", "site"]
        + ["--start-from", str(first), "--members", "1", "--steps", "2", "--batch", "4", "--phantoms", "10"]
    )

    assert status == 0
    assert load(tmp_path / "site.safetensors").network == network


def test_a_network_of_other_sizes_cannot_be_started_from(pairs, tmp_path):
    first = train(pairs, SHORT, PROVENANCE, tmp_path / "first.safetensors")
    wider = dataclasses.replace(SHORT, network=NetworkConfig(channels=(8, 12, 24)))

    with pytest.raises(ValueError, match="other sizes"):
        train(pairs, wider, PROVENANCE, tmp_path / "wider.safetensors", start_from=first)


def test_the_learning_rate_rises_and_falls():
    assert one_cycle(0.0) == pytest.approx(0.04)
    assert one_cycle(0.25) == pytest.approx(1.0, abs=1e-3)
    assert one_cycle(1.0) == pytest.approx(0.0, abs=1e-3)


def test_metrics_are_read_from_the_central_crop(pairs, tmp_path):
    checkpoint = train(pairs, SHORT, PROVENANCE, tmp_path / "short.safetensors")
    members = networks(checkpoint)

    readings = read_slices(members, checkpoint.calibration, pairs.where(np.arange(len(pairs)) < 3), 64)

    direct = members[0](central(torch.from_numpy(pairs.crops_hu[:3]), 64))
    assert readings.attended_hu == pytest.approx(direct.attended_hu.detach().numpy(), abs=1e-2)


def test_the_command_trains_and_writes_a_log(written, tmp_path):
    output = tmp_path / "site.safetensors"

    status = main(
        [str(written), "--output", str(output), "--data-kind", "site"]
        + ["--members", "1", "--steps", "3", "--batch", "4", "--phantoms", "10"]
    )

    checkpoint = load(output)
    assert status == 0
    assert checkpoint.data_kind == "site"
    assert checkpoint.training["command"] == (
        "python -m models.training pairs.npz --output site.safetensors --data-kind site"
        " --members 1 --steps 3 --batch 4 --phantoms 10"
    )
    assert output.with_suffix(".log").exists()


def test_the_command_is_kept_without_folders(pairs, written, tmp_path, monkeypatch):
    train(pairs, SHORT, PROVENANCE, tmp_path / "first.safetensors")
    monkeypatch.chdir(tmp_path)

    main(
        ["./pairs.npz", f"--output={tmp_path}/site.safetensors", "--data-kind=site", "--steps", "1", "--members", "1"]
        + ["--beside", str(written), "--start-from", "../" + tmp_path.name + "/first.safetensors"]
        + ["--reference", "spine L1-L4, g/cm2", "--batch", "4", "--phantoms", "10"]
    )

    assert load(tmp_path / "site.safetensors").training["command"] == (
        "python -m models.training pairs.npz --output=site.safetensors --data-kind=site --steps 1 --members 1"
        " --beside pairs.npz --start-from first.safetensors --reference 'spine L1-L4, g/cm2' --batch 4 --phantoms 10"
    )


def test_a_missing_output_folder_ends_in_one_line(written, tmp_path, caplog):
    status = main([str(written), "--output", str(tmp_path / "missing" / "o.safetensors"), "--data-kind", "site"])

    assert status == 1
    assert "--output: nothing can be written there: [Errno 2] No such file or directory" in caplog.text


def test_slices_beside_are_trained_on_and_measured_by_nobody(pairs, written, tmp_path):
    alone = train(pairs, SHORT, PROVENANCE, tmp_path / "alone.safetensors")
    config = dataclasses.replace(SHORT, shares=Shares(phantom=0.2, beside=0.5))

    mixed = train(pairs, config, PROVENANCE, tmp_path / "mixed.safetensors", beside=read_beside(written))

    assert mixed.training["n_patients_beside"] == 80
    assert mixed.training["n_patients"] == alone.training["n_patients"] == 56
    assert mixed.metrics["n_patients"] == alone.metrics["n_patients"]
    assert mixed.metrics["n_calibration_patients"] == alone.metrics["n_calibration_patients"]
    assert mixed.calibration.slope_g_cm2_per_hu == alone.calibration.slope_g_cm2_per_hu
    assert mixed.sha256 != alone.sha256


def test_the_command_takes_shares_and_slices_beside(written, tmp_path):
    output = tmp_path / "mixed.safetensors"

    status = main(
        [str(written), "--output", str(output), "--data-kind", "simulated", "--beside", str(written)]
        + ["--beside-share", "0.25", "--phantom-share", "0.25", "--calibration-share", "0.4"]
        + ["--validation-share", "0.1", "--channels", "8", "12", "16"]
        + ["--members", "1", "--steps", "2", "--batch", "4", "--phantoms", "10"]
    )

    checkpoint = load(output)
    assert status == 0
    assert checkpoint.training["config"]["shares"]["beside"] == 0.25
    assert checkpoint.network.channels == (8, 12, 16)
    assert checkpoint.metrics["n_calibration_patients"] == 32


def test_shares_that_exceed_a_batch_end_in_one_line(written, tmp_path, caplog):
    status = main(
        [str(written), "--output", str(tmp_path / "o.safetensors"), "--data-kind", "site", "--phantom-share", "1.5"]
    )

    assert status == 1
    assert "sum to at most 1" in caplog.text


def test_the_command_ends_in_one_line_on_a_damaged_file(tmp_path, caplog):
    (tmp_path / "pairs.npz").write_bytes(b"nothing")

    status = main([str(tmp_path / "pairs.npz"), "--output", str(tmp_path / "o.safetensors"), "--data-kind", "site"])

    assert status == 1
    assert "pairs.npz cannot be read" in caplog.text
