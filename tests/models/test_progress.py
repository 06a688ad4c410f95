import torch
from torch import nn

from models.progress import Progress


def test_progress_of_another_training_is_not_taken_up(tmp_path):
    output = tmp_path / "short.safetensors"
    Progress.of(output, "this").finish(nn.Linear(2, 1))

    assert len(Progress.of(output, "this").finished) == 1
    assert Progress.of(output, "other").finished == []


def test_a_member_at_work_goes_on_at_its_next_step(tmp_path):
    output = tmp_path / "short.safetensors"
    network = nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(network.parameters())
    Progress.of(output, "this").keep(network, optimizer, step=30)
    fresh = nn.Linear(2, 1)

    step = Progress.of(output, "this").resume(fresh, torch.optim.AdamW(fresh.parameters()))

    assert step == 30
    assert torch.equal(fresh.weight, network.weight)


def test_nothing_is_left_when_the_checkpoint_is_written(tmp_path):
    progress = Progress.of(tmp_path / "short.safetensors", "this")
    progress.finish(nn.Linear(2, 1))

    progress.forget()

    assert list(tmp_path.iterdir()) == []
