"""Crops with room to move (n, 96, 96) -> varied crops as the network sees them (n, 80, 80).

The core is the paper's: image noise, parallel shift and rotation, each training slice in 60 variants (Yasaka et al.
2020, doi 10.1007/s00330-020-06677-0). `FULL` adds what a network trained on simulated CT must meet before it reads
real CT: body size and shape, soft tissue, reconstruction kernels, small calibration errors of the scanner.
Random numbers come from a CPU generator, so a seed means the same variants on every device.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

PAPER_VARIANTS = 60
"""Variants of each slice in the paper: 1665 slices became 99,900."""

KERNEL_BLUR_PX = 1.3
"""Standard deviation of the blur that `sharpness` mixes in or takes out."""

BODY_ELLIPSE_MM = (30.0, 23.0)
"""Half axes, lateral and antero-posterior, of an ellipse that encloses every lumbar body."""


@dataclass(frozen=True, slots=True)
class Strength:
    """How far each variation goes; 0 switches it off."""

    noise_sd_hu: float = 45.0  # of one pixel; drawn evenly from 0 to this
    shift_sd_mm: float = 3.0
    shift_limit_mm: float = 9.0
    rotation_sd_deg: float = 7.0
    size_log_sd: float = 0.0
    stretch_log_sd: float = 0.0  # lateral only
    flip_share: float = 0.0
    soft_tissue_hu: float = 0.0
    sharpness: tuple[float, float] = (0.0, 0.0)  # negative unsharpens, positive blurs
    hu_scale_sd: float = 0.0
    hu_offset_sd: float = 0.0


PAPER = Strength()
FULL = Strength(
    size_log_sd=0.09,
    stretch_log_sd=0.06,
    flip_share=0.5,
    soft_tissue_hu=12.0,
    sharpness=(-1.0, 1.0),
    hu_scale_sd=0.02,
    hu_offset_sd=4.0,
)


def augment(
    crops_hu: Tensor, size_px: int, pixel_mm: float, strength: Strength, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return varied crops (n, size_px, size_px) and the factor by which each body's depth has grown (n,)."""
    crops_hu = soft_tissue(crops_hu, pixel_mm, strength, generator)
    varied, growth = move(crops_hu, size_px, pixel_mm, strength, generator)
    varied = calibrate(sharpen(varied, strength, generator), strength, generator)
    return add_noise(varied, strength, generator), growth


def paper_steps(slices: int, batch: int) -> int:
    """Training steps that draw as many variants as the paper's 60 copies of each slice, made anew in every step."""
    return math.ceil(slices * PAPER_VARIANTS / batch)


def central(crops_hu: Tensor, size_px: int) -> Tensor:
    """Cut the centre (n, size_px, size_px): the crop without any variation."""
    start = (crops_hu.shape[-1] - size_px) // 2
    return crops_hu[:, start : start + size_px, start : start + size_px]


def move(
    crops_hu: Tensor, size_px: int, pixel_mm: float, strength: Strength, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Shift, rotate, resize, stretch and mirror in one interpolation."""
    n, length = len(crops_hu), crops_hu.shape[-1]
    shift_mm = (_normal((n, 2), generator) * strength.shift_sd_mm).clamp(
        -strength.shift_limit_mm, strength.shift_limit_mm
    )
    angle = torch.deg2rad(_normal((n,), generator) * strength.rotation_sd_deg)
    growth = torch.exp(_normal((n,), generator) * strength.size_log_sd)
    stretch = torch.exp(_normal((n,), generator) * strength.stretch_log_sd)
    mirror = 1 - 2 * (_even((n,), generator) < strength.flip_share).float()

    cosine, sine, across = torch.cos(angle), torch.sin(angle), mirror / stretch
    turn = torch.stack([torch.stack([cosine * across, -sine], 1), torch.stack([sine * across, cosine], 1)], 1)
    theta = torch.cat(
        [turn / growth[:, None, None] * (size_px / length), shift_mm[:, :, None] / (length * pixel_mm / 2)], dim=2
    )  # (n, 2, 3): where in the large crop each pixel of the small one comes from
    grid = functional.affine_grid(theta.to(crops_hu.device), [n, 1, size_px, size_px], align_corners=False)
    moved = functional.grid_sample(crops_hu[:, None], grid, padding_mode="border", align_corners=False)
    return moved[:, 0], growth.to(crops_hu.device)


def soft_tissue(crops_hu: Tensor, pixel_mm: float, strength: Strength, generator: torch.Generator) -> Tensor:
    """Brighten or darken muscle, fat and vessels around the centred body, not the body."""
    change = (2 * _even((len(crops_hu), 1, 1), generator) - 1) * strength.soft_tissue_hu
    length = crops_hu.shape[-1]
    mm = (torch.arange(length) - (length - 1) / 2) * pixel_mm
    lateral_mm, depth_mm = BODY_ELLIPSE_MM
    outside = (mm[None, :] / lateral_mm) ** 2 + (mm[:, None] / depth_mm) ** 2 > 1
    tissue = outside.to(crops_hu.device) & (crops_hu > -200) & (crops_hu < 200)
    return crops_hu + tissue * change.to(crops_hu.device)


def sharpen(crops_hu: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    """Blur or unsharpen as reconstruction kernels do, without changing the mean."""
    low, high = strength.sharpness
    share = low + (high - low) * _even((len(crops_hu), 1, 1), generator)
    return torch.lerp(crops_hu, blur(crops_hu, KERNEL_BLUR_PX), share.to(crops_hu.device))


def calibrate(crops_hu: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    """Change HU as a scanner a little off its calibration does."""
    scale = 1 + _normal((len(crops_hu), 1, 1), generator) * strength.hu_scale_sd
    offset = _normal((len(crops_hu), 1, 1), generator) * strength.hu_offset_sd
    return crops_hu * scale.to(crops_hu.device) + offset.to(crops_hu.device)


def add_noise(crops_hu: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    """Add noise whose correlation lies between white and that of a smooth kernel."""
    sd = _even((len(crops_hu), 1, 1), generator) * strength.noise_sd_hu
    share = _even((len(crops_hu), 1, 1), generator)
    white = _normal(tuple(crops_hu.shape), generator)
    mixed = torch.lerp(white, blur(white, 1.0) * 3.5, share)  # blurred white noise of SD 1 has SD 1 / 3.5
    return crops_hu + (mixed / mixed.std(dim=(1, 2), keepdim=True) * sd).to(crops_hu.device)


def blur(crops_hu: Tensor, sd_px: float) -> Tensor:
    """Gaussian blur with mirrored borders."""
    reach = int(3 * sd_px + 0.5)
    steps = torch.arange(-reach, reach + 1, dtype=crops_hu.dtype, device=crops_hu.device)
    kernel = torch.exp(-((steps / sd_px) ** 2) / 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(crops_hu[:, None], (reach,) * 4, mode="reflect")
    across = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return functional.conv2d(across, kernel.view(1, 1, -1, 1))[:, 0]


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator)


def _even(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator)
