import copy

import pytest
import torch

from models.bmd_cnn import BmdCnn, Calibration, NetworkConfig, areal_bmd, folded, read_together


@pytest.fixture
def network():
    torch.manual_seed(0)
    return BmdCnn(NetworkConfig()).eval().requires_grad_(False)


@pytest.fixture
def crops():
    return torch.randn(5, 64, 64, generator=torch.Generator().manual_seed(1)) * 100 + 80


def test_attention_is_a_weighting_of_the_crop(network, crops):
    attention = network(crops).attention

    assert attention.shape == (5, 32, 32)
    assert torch.all(attention >= 0)
    assert attention.sum(dim=(1, 2)) == pytest.approx(torch.ones(5))


def test_a_uniform_crop_is_read_as_its_own_attenuation(network):
    reading = network(torch.full((2, 64, 64), 137.0))

    assert reading.attended_hu == pytest.approx(torch.full((2,), 137.0), abs=1e-2)


def test_areal_attenuation_is_attenuation_times_depth_over_33_mm(network, crops):
    reading = network(crops)

    assert reading.areal_hu == pytest.approx(reading.attended_hu * reading.depth_mm / 33)


def test_heads_stay_within_their_ranges(network, crops):
    reading = network(crops * 50)

    assert torch.all((reading.depth_mm >= 16.5) & (reading.depth_mm <= 49.5))
    assert torch.all(reading.beyond_hu.abs() <= NetworkConfig().beyond_hu)
    assert torch.all((reading.log_variance / 2).exp() <= 160.001)


def test_each_crop_is_read_by_itself(network, crops):
    assert network(crops).areal_hu[3:4] == pytest.approx(network(crops[3:4]).areal_hu, abs=1e-3)


def test_hounsfield_units_are_absolute(network, crops):
    assert torch.all(network(crops + 50).attended_hu > network(crops).attended_hu + 25)


def test_calibration_is_an_affine_outside_of_the_network(network, crops):
    reading = network(crops)
    bmd, sd = areal_bmd(reading, Calibration(0.6, 0.0025, "test"))

    assert bmd == pytest.approx(0.6 + 0.0025 * (reading.areal_hu + reading.beyond_hu))
    assert sd == pytest.approx(0.0025 * (reading.log_variance / 2).exp())


def test_variance_of_an_ensemble_is_within_plus_between(network, crops):
    torch.manual_seed(5)
    other = BmdCnn(NetworkConfig()).eval().requires_grad_(False)
    one, two = network(crops), other(crops)

    both = read_together([network, other], crops)

    within = (one.log_variance.exp() + two.log_variance.exp()) / 2
    between = ((one.areal_hu - two.areal_hu) / 2) ** 2
    assert both.log_variance.exp() == pytest.approx(within + between, rel=1e-4)
    assert both.areal_hu == pytest.approx((one.areal_hu + two.areal_hu) / 2)


def test_folding_the_normalisation_changes_nothing(network, crops):
    network.train()(crops)  # so that the running statistics are not the identity
    network.eval()
    quick = folded(copy.deepcopy(network))

    assert quick(crops).areal_hu == pytest.approx(network(crops).areal_hu, rel=1e-3)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in quick.modules())


def test_the_network_is_small(network):
    assert sum(parameter.numel() for parameter in network.parameters()) < 190_000


def test_mineral_beyond_is_learned_without_touching_the_reading(network, crops):
    network.requires_grad_(True)

    network(crops).beyond_hu.sum().backward()

    touched = {name.split(".")[0] for name, weight in network.named_parameters() if weight.grad is not None}
    assert touched == {"around"}


def test_in_training_mineral_beyond_is_read_where_bmd_is_known(network, crops):
    known = torch.tensor([True, False, True, True, False])

    partly, whole = network(crops, known).beyond_hu, network(crops).beyond_hu

    assert partly[known] == pytest.approx(whole[known], abs=1e-4)
    assert torch.all(partly[~known] == 0)
    assert torch.all(network(crops, torch.zeros(5, dtype=torch.bool)).beyond_hu == 0)


def test_mineral_beyond_learns_unbounded_and_is_read_within_its_bound(network, crops):
    network.around.head[2].bias.fill_(3.0)

    assert network(crops).beyond_hu == pytest.approx(torch.full((5,), network.config.beyond_hu))
    assert torch.all(network.train()(crops).beyond_hu > 60)


def test_no_mineral_beyond_is_read_without_an_encoder_for_it(crops):
    plain = BmdCnn(NetworkConfig(beyond_channels=None)).eval()

    assert torch.all(plain(crops).beyond_hu == 0)
