"""BMD_CNN: an axial crop in HU -> where to look, the HU read there, body depth, areal attenuation, uncertainty.

The network looks before it measures. An encoder and a light decoder turn the crop into a map of weights that sums to
one; the trabecular attenuation is the mean HU under that map, so it follows the density of the bone linearly,
beyond the training range too, and the map shows what was read. A second head reads the antero-posterior depth of the
body. Their product is the *areal attenuation*: attenuation times depth over 33 mm, in HU, which is proportional to
the mineral that an AP projection would see. The affine from areal attenuation to areal BMD in g/cm2 is a
`Calibration`, kept outside of the weights, so a site can refit it without retraining.

A small encoder of its own reads what a projection holds beyond the cancellous bone: cortex, arch, facets. It shares
nothing with the rest, so it leaves attenuation and depth as they are; it is bounded, for on pictures unlike those that
it has learned from nothing holds it. What a slice tells is the areal BMD of the patient's L1-L4 as this level shows it,
not that of its level alone (`labels.py`).

The network is ours. The sizes, augmentation families and validation design around it follow Yasaka et al.,
Eur Radiol 2020;30:3549, doi 10.1007/s00330-020-06677-0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

REFERENCE_DEPTH_MM = 33.0
"""Depth of an average lumbar body (outer cortex), at which areal attenuation equals trabecular attenuation."""

BEYOND_UNIT_HU = 40.0
"""Brings mineral beyond, which scatters by 20 to 40 HU, to the size that a new head puts out."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Sizes and ranges of the network; stored in every checkpoint."""

    channels: tuple[int, int, int] = (16, 32, 64)
    wide_window_hu: tuple[float, float] = (-200.0, 700.0)  # anatomy: fat to cortical bone
    bone_window_hu: tuple[float, float] = (0.0, 300.0)  # trabecular bone
    depth_range: float = 0.5  # the depth head reads 33 mm * (1 +- this)
    beyond_hu: float = 50.0  # the most that is added for mineral beyond attenuation * depth, about 0.13 g/cm2
    beyond_channels: tuple[int, int, int] | None = (12, 24, 32)  # of the encoder that reads it; None: nothing is added
    sd_range_hu: tuple[float, float] = (2.0, 160.0)  # 0.005 to 0.4 g/cm2


@dataclass(frozen=True, slots=True)
class Calibration:
    """Affine from areal attenuation (HU, 120 kVp) to areal BMD (g/cm2), and a site's monotone bend of it."""

    offset_g_cm2: float
    slope_g_cm2_per_hu: float
    version: str
    knots: tuple[
        tuple[float, float], ...
    ] = ()  # areal BMD of the affine, and what a site reads instead; none: the same


class Reading(NamedTuple):
    """What the network reads in n crops."""

    areal_hu: Tensor  # (n,) attenuation * depth / 33 mm
    beyond_hu: Tensor  # (n,) small correction for mineral outside of the cancellous bone, as seen in the slice
    log_variance: Tensor  # (n,) of areal_hu, HU squared
    attended_hu: Tensor  # (n,) mean HU under the attention
    depth_mm: Tensor  # (n,)
    attention: Tensor  # (n, size / 2, size / 2), sums to 1


def areal_bmd(reading: Reading, calibration: Calibration) -> tuple[Tensor, Tensor]:
    """Areal BMD of each crop and the standard deviation of its reading, g/cm2 (n,).

    The standard deviation is that of attenuation times depth alone, without that of the mineral beyond.
    """
    bmd = calibration.offset_g_cm2 + calibration.slope_g_cm2_per_hu * (reading.areal_hu + reading.beyond_hu)
    sd = calibration.slope_g_cm2_per_hu * (reading.log_variance / 2).exp()
    return _through(calibration.knots, bmd, sd) if calibration.knots else (bmd, sd)


def _through(knots: tuple[tuple[float, float], ...], bmd: Tensor, sd: Tensor) -> tuple[Tensor, Tensor]:
    """Read through knots: straight between them, and beyond the last as between the last two."""
    before, after = torch.tensor(knots, dtype=bmd.dtype, device=bmd.device).T.contiguous()
    slopes = after.diff() / before.diff()
    part = (torch.searchsorted(before, bmd.contiguous(), right=True) - 1).clamp(0, len(slopes) - 1)
    return after[part] + slopes[part] * (bmd - before[part]), slopes[part] * sd


class BmdCnn(nn.Module):
    """Attention ROI reader, about 180 thousand parameters."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        narrow, middle, wide = config.channels
        self.down1, self.down2, self.down3 = encoder(config.channels)
        self.up2 = conv(wide + middle, middle)
        self.up1 = conv(middle + narrow, narrow)
        self.look = nn.Conv2d(narrow, 1, kernel_size=1)
        self.heads = nn.Sequential(nn.Linear(2 * wide, middle), nn.ReLU(), nn.Linear(middle, 2))
        self.around = Around(config.beyond_channels) if config.beyond_channels else None

    def forward(self, crops_hu: Tensor, with_bmd: Tensor | None = None) -> Reading:
        """Read crops (n, size, size) in HU at 120 kVp; size is a multiple of 8.

        In training `with_bmd` (n,) marks the slices whose BMD is known: mineral beyond is read in these alone, so that
        the normalisation of its encoder rests on the pictures it learns from; elsewhere it is 0.
        """
        shown = windows(crops_hu, self.config)  # (n, 2, size, size)
        fine = self.down1(shown)  # (n, 16, size/2, size/2)
        middle = self.down2(fine)  # (n, 32, size/4, size/4)
        coarse = self.down3(middle)  # (n, 64, size/8, size/8)
        up = self.up2(torch.cat([upsample(coarse), middle], dim=1))  # (n, 32, size/4, size/4)
        up = self.up1(torch.cat([upsample(up), fine], dim=1))  # (n, 16, size/2, size/2)
        attention = self.look(up).flatten(1).softmax(dim=1).view(len(up), *up.shape[2:])  # (n, size/2, size/2)

        attended_hu = (attention * readable_hu(crops_hu, self.config)).sum(dim=(1, 2))  # (n,)
        coarse_attention = functional.avg_pool2d(attention[:, None], 4) * 16  # (n, 1, size/8, size/8), sums to 1
        seen = torch.cat([(coarse_attention * coarse).sum(dim=(2, 3)), coarse.mean(dim=(2, 3))], dim=1)  # (n, 128)
        depth, spread = self.heads(seen).unbind(dim=1)  # (n,) each

        depth_mm = REFERENCE_DEPTH_MM * (1 + self.config.depth_range * torch.tanh(depth))
        areal_hu = attended_hu * depth_mm / REFERENCE_DEPTH_MM
        beyond_hu = torch.zeros_like(areal_hu)
        if self.around is not None:
            read = torch.stack([attended_hu, depth_mm], dim=1).detach() / REFERENCE_DEPTH_MM  # (n, 2)
            beyond_hu = self.around(shown, read, with_bmd)  # (n,), bounded where it is used, not where it learns
            limit = math.inf if self.training else self.config.beyond_hu
            beyond_hu = beyond_hu.clamp(-limit, limit)
        return Reading(areal_hu, beyond_hu, log_variance(spread, self.config), attended_hu, depth_mm, attention)


class Around(nn.Module):
    """Reads bone beyond the cancellous one: fine structure where a gate lets it pass, and the whole crop coarsely."""

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        narrow, _, wide = channels
        self.down1, self.down2, self.down3 = encoder(channels)
        self.gate = nn.Conv2d(narrow, narrow, kernel_size=1)
        self.head = nn.Sequential(nn.Linear(narrow + wide + 2, wide), nn.ReLU(), nn.Linear(wide, 1))

    def forward(self, shown: Tensor, read: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Read windowed crops (n, 2, size, size), all or the wanted ones; HU (n,), 0 where not wanted.

        `read` (n, 2) holds attenuation and depth as read in the same crops, over 33: deep bodies have thick arches.
        """
        if wanted is None:
            return self.look(shown, read)
        beyond_hu = shown.new_zeros(len(shown))
        if wanted.any():
            beyond_hu[wanted] = self.look(shown[wanted], read[wanted])
        return beyond_hu

    def look(self, shown: Tensor, read: Tensor) -> Tensor:
        """Read every crop."""
        fine = self.down1(shown)  # (n, 12, size/2, size/2): thin cortex still shows
        coarse = self.down3(self.down2(fine))  # (n, 32, size/8, size/8)
        passed = torch.sigmoid(self.gate(fine)) * fine
        seen = torch.cat([passed.mean(dim=(2, 3)), coarse.mean(dim=(2, 3)), read], dim=1)  # (n, 46)
        beyond_hu: Tensor = BEYOND_UNIT_HU * self.head(seen)[:, 0]
        return beyond_hu


def read_together(members: Sequence[BmdCnn], crops_hu: Tensor) -> Reading:
    """Read with an ensemble: means of the members, and the variance within plus the variance between them.

    Both variances are of `areal_hu`, attenuation times depth: how far members differ in mineral beyond is not counted.
    """
    readings = [member(crops_hu) for member in members]
    stacked = Reading(*(torch.stack(outputs) for outputs in zip(*readings, strict=True)))  # (members, n, ...)
    mean = Reading(*(outputs.mean(dim=0) for outputs in stacked))
    variance = stacked.log_variance.exp().mean(dim=0) + stacked.areal_hu.var(dim=0, correction=0)
    return mean._replace(log_variance=variance.log())


def folded(network: BmdCnn) -> BmdCnn:
    """Fold batch normalisation into the convolutions before it: the same reading in less time, but no more training."""
    network.eval()
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        convolution, normalisation = block[0], block[1]
        if isinstance(convolution, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d):
            block[0], block[1] = fuse_conv_bn_eval(convolution, normalisation), nn.Identity()
    return network


def encoder(channels: tuple[int, int, int]) -> tuple[nn.Sequential, nn.Sequential, nn.Sequential]:
    """Three blocks that halve height and width each."""
    narrow, middle, wide = channels
    return (
        nn.Sequential(conv(2, narrow, stride=2), conv(narrow, narrow)),
        nn.Sequential(conv(narrow, middle, stride=2), conv(middle, middle)),
        nn.Sequential(conv(middle, wide, stride=2), conv(wide, wide), conv(wide, wide, dilation=2)),
    )


def conv(channels_in: int, channels_out: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3 x 3 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride, padding=dilation, dilation=dilation, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


def upsample(features: Tensor) -> Tensor:
    """Double height and width."""
    return functional.interpolate(features, scale_factor=2, mode="nearest")


def windows(crops_hu: Tensor, config: NetworkConfig) -> Tensor:
    """Show the crop in two absolute windows, (n, 2, size, size); never normalised per image, for HU are absolute."""
    channels = [
        (crops_hu.clamp(low, high) - (low + high) / 2) / ((high - low) / 3.6)
        for low, high in (config.wide_window_hu, config.bone_window_hu)
    ]
    return torch.stack(channels, dim=1).contiguous(memory_format=torch.channels_last)


def readable_hu(crops_hu: Tensor, config: NetworkConfig) -> Tensor:
    """HU that the attention averages, clipped to the wide window, at half resolution."""
    return functional.avg_pool2d(crops_hu.clamp(*config.wide_window_hu)[:, None], 2)[:, 0]


def log_variance(spread: Tensor, config: NetworkConfig) -> Tensor:
    """Bring the raw output smoothly into the range of plausible standard deviations."""
    low, high = (2 * math.log(sd_hu) for sd_hu in config.sd_range_hu)
    return torch.sigmoid(spread) * (high - low) + low
