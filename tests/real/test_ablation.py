from ablation import COMBINATIONS, patient_folds, shares_of

from models.pairs import Shares


def test_simulated_patients_fill_half_of_a_batch_and_the_others_the_rest_evenly():
    assert shares_of("S") == Shares(phantom=0.0, beside=0.0)
    assert shares_of("D+R") == Shares(phantom=0.5, beside=0.5)
    assert shares_of("S+R") == Shares(phantom=0.0, beside=0.5)
    assert shares_of("S+D+R") == Shares(phantom=0.25, beside=0.25)
    assert len(COMBINATIONS) == 6


def test_every_patient_is_left_out_once():
    folds = patient_folds(["a", "b", "c", "d", "e"], 2)

    assert folds == [["a", "c", "e"], ["b", "d"]]
    assert patient_folds(["a", "b"], 2) == [["a"], ["b"]]
