import dataclasses

import ablation
import pytest
from ablation import COMBINATIONS, Plan, patient_folds, shares_of, train_fold

from models.checkpoint import bundled, load, save
from models.pairs import Shares
from models.training import OTHERS_SHARE


@pytest.fixture
def plan(tmp_path):
    """A plan of 800 steps whose network of simulated patients is there already."""
    kept = dataclasses.replace(load(bundled()), training={"config": {"steps": 800, "seed": 1}})
    save(kept, tmp_path / "S.safetensors")
    return Plan(pairs=None, bodies=None, work=tmp_path, steps=800, seed=1, folds=1)


def test_sources_beside_simulated_patients_share_evenly_what_the_training_leaves_them():
    assert shares_of("S") == Shares(phantom=0.0, beside=0.0)
    assert shares_of("D+R") == Shares(phantom=0.5, beside=0.5)
    assert shares_of("S+R") == Shares(phantom=0.0, beside=OTHERS_SHARE)
    assert shares_of("S+D+R") == Shares(phantom=OTHERS_SHARE / 2, beside=OTHERS_SHARE / 2)
    assert len(COMBINATIONS) == 6


def test_a_kept_network_is_not_trained_again(plan, monkeypatch):
    monkeypatch.setattr(ablation, "train", None)

    assert train_fold(plan, "S", []) == plan.work / "S.safetensors"


@pytest.mark.parametrize("other", [{"steps": 801}, {"seed": 2}])
def test_a_kept_network_of_another_training_is_refused(plan, other):
    with pytest.raises(ValueError, match=r"S\.safetensors was trained with 800 steps and seed 1, wanted are"):
        train_fold(dataclasses.replace(plan, **other), "S", [])


def test_every_patient_is_left_out_once():
    folds = patient_folds(["a", "b", "c", "d", "e"], 2)

    assert folds == [["a", "c", "e"], ["b", "d"]]
    assert patient_folds(["a", "b"], 2) == [["a"], ["b"]]
