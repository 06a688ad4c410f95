"""A checkpoint and real CT -> how well it reads pictures it was never simulated from.

    python tests/real/transfer.py [--checkpoint FILE] [--json FILE]

One row a vertebra L1-L4 of every series in ../shared/data with a hand-made reference, enhanced ones included, and a
summary. No real CT comes with a DXA, so the reference is the physics value, 0.60 + 0.0025 x ROI HU x depth / 33 mm:
this says how well the network reads a picture, not how well it predicts DXA. Depth (`body_depth.csv`) and the contour
of the counterfactual are made without the network.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from real_ct import MEASURED, RealBody, read_bodies
from scipy.ndimage import rotate, shift

from screening.prediction.inference import Predictor, load_predictor
from screening.simulation.redensified import body_distance_mm, soft_step

OFFSET_G_CM2, SLOPE_G_CM2_PER_HU, REFERENCE_DEPTH_MM = 0.60, 0.0025, 33.0
PIXEL_MM, MARGIN_PX, INPUT_PX = 1.25, 8, 80
COUNTERFACTUAL_HU = (-60.0, -30.0, 30.0, 60.0)
EROSION_MM, FEATHER_MM = 2.2, 1.6  # the middle of what re-densified training draws
SHIFT_MM, ROTATION_DEG, NOISE_SD_HU, NOISE_DRAWS = 4.0, 5.0, 20.0, 4

Slabs = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Row:
    """One real vertebra as the network reads it; BMD in g/cm2."""

    patient: str
    level: str
    enhanced: str
    roi_hu: float
    depth_mm: float
    bmd_physics: float
    bmd_read: float  # mean of the slabs
    hu_read: float
    depth_read_mm: float
    sd_middle: float  # of the middle slab
    sd_disc: float  # of the disc below; NaN where the scan ends before it
    counterfactual_bmd: float  # change read over change made, of areal BMD
    counterfactual_hu: float  # the same of the attended attenuation
    shift_change: float  # mean |change| over four directions
    rotation_change: float
    noise_change: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What the gates are on."""

    n: int
    rmse: float
    slope: float
    bias: float
    bias_lowest_patient: float
    hu_rmse: float
    hu_bias: float
    depth_rmse_mm: float
    counterfactual_bmd: float
    counterfactual_bmd_low: float
    counterfactual_bmd_high: float
    counterfactual_hu: float
    counterfactual_hu_low: float
    counterfactual_hu_high: float
    shift_change: float
    rotation_change: float
    noise_change: float
    sd_body: float
    sd_disc: float
    disc_auc: float

    def failures(self) -> list[str]:
        """Name the gates that do not hold."""
        return [name for name, (figure, low, high) in self.gates().items() if not low <= figure <= high]

    def gates(self) -> dict[str, tuple[float, float, float]]:
        """Figure, lowest and highest that is accepted, by name."""
        return {
            "rmse": (self.rmse, 0.0, 0.035),
            "slope": (self.slope, 0.9, 1.1),
            "bias": (self.bias, -0.02, 0.02),
            "bias_lowest_patient": (self.bias_lowest_patient, -0.02, 0.02),
            "counterfactual_bmd": (self.counterfactual_bmd, 0.9, 1.1),
            "shift_change": (self.shift_change, 0.0, 0.012),
            "rotation_change": (self.rotation_change, 0.0, 0.01),
            "noise_change": (self.noise_change, 0.0, 0.01),
            "disc_auc": (self.disc_auc, 0.98, 1.0),
        }


def evaluate(predictor: Predictor, bodies: Sequence[RealBody]) -> list[Row]:
    """Read every vertebra, as it is and changed."""
    return [read_body(predictor, body) for body in bodies]


def read_body(predictor: Predictor, body: RealBody) -> Row:
    """Read one vertebra."""
    plain = predictor(centre(body.slabs_hu))
    bmd = float(plain.bmd_g_cm2.mean())
    disc_sd = predictor(centre(body.disc_hu)).sd_g_cm2[0] if len(body.disc_hu) else np.nan
    per_hu = SLOPE_G_CM2_PER_HU * body.depth_mm / REFERENCE_DEPTH_MM
    denser = [predictor(centre(body.slabs_hu + change * interiors(body.slabs_hu))) for change in COUNTERFACTUAL_HU]

    def changed(variants: list[Slabs]) -> float:
        return float(np.mean([abs(float(predictor(slabs).bmd_g_cm2.mean()) - bmd) for slabs in variants]))

    return Row(
        patient=body.patient,
        level=body.level,
        enhanced=body.enhanced,
        roi_hu=body.roi_hu,
        depth_mm=body.depth_mm,
        bmd_physics=OFFSET_G_CM2 + per_hu * body.roi_hu,
        bmd_read=bmd,
        hu_read=float(plain.attended_hu.mean()),
        depth_read_mm=float(plain.body_depth_mm.mean()),
        sd_middle=float(plain.sd_g_cm2[len(plain.sd_g_cm2) // 2]),
        sd_disc=float(disc_sd),
        counterfactual_bmd=line_slope([float(one.bmd_g_cm2.mean()) for one in denser]) / per_hu,
        counterfactual_hu=line_slope([float(one.attended_hu.mean()) for one in denser]),
        shift_change=changed(shifted(body.slabs_hu)),
        rotation_change=changed(rotated(body.slabs_hu)),
        noise_change=changed(noisy(body.slabs_hu)),
    )


def summarise(rows: Sequence[Row]) -> Summary:
    """Bring the rows to the figures that are gated."""
    physics, read = column(rows, "bmd_physics"), column(rows, "bmd_read")
    error, hu_error = read - physics, column(rows, "hu_read") - column(rows, "roi_hu")
    by_bmd, by_hu = column(rows, "counterfactual_bmd"), column(rows, "counterfactual_hu")
    discs = column(rows, "sd_disc")
    discs = discs[np.isfinite(discs)]
    return Summary(
        n=len(rows),
        rmse=root_mean_square(error),
        slope=float(np.polyfit(physics, read, 1)[0]),
        bias=float(error.mean()),
        bias_lowest_patient=float(error[of_lowest_patient(rows)].mean()),
        hu_rmse=root_mean_square(hu_error),
        hu_bias=float(hu_error.mean()),
        depth_rmse_mm=root_mean_square(column(rows, "depth_read_mm") - column(rows, "depth_mm")),
        counterfactual_bmd=float(by_bmd.mean()),
        counterfactual_bmd_low=float(by_bmd.min()),
        counterfactual_bmd_high=float(by_bmd.max()),
        counterfactual_hu=float(by_hu.mean()),
        counterfactual_hu_low=float(by_hu.min()),
        counterfactual_hu_high=float(by_hu.max()),
        shift_change=float(column(rows, "shift_change").mean()),
        rotation_change=float(column(rows, "rotation_change").mean()),
        noise_change=float(column(rows, "noise_change").mean()),
        sd_body=float(np.median(column(rows, "sd_middle"))),
        sd_disc=float(np.median(discs)),
        disc_auc=float(np.mean(discs[:, None] > column(rows, "sd_middle")[None, :])),
    )


def of_lowest_patient(rows: Sequence[Row]) -> NDArray[np.bool_]:
    """Rows of the patient with the lowest mean attenuation of the regions."""
    patients, hu = np.array([row.patient for row in rows]), column(rows, "roi_hu")
    lowest = min(set(patients), key=lambda patient: float(hu[patients == patient].mean()))
    return np.asarray(patients == lowest)


def centre(slabs: Slabs) -> Slabs:
    """Cut the network's input (n, 80, 80) from the middle of (n, 96, 96)."""
    return np.ascontiguousarray(slabs[:, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX], dtype=np.float32)


def interiors(slabs: Slabs) -> Slabs:
    """Soft masks (n, 96, 96) of the interior, from a contour traced in each slab."""
    return np.stack([soft_step((body_distance_mm(slab) - EROSION_MM) / FEATHER_MM) for slab in slabs]).astype("f4")


def shifted(slabs: Slabs) -> list[Slabs]:
    """Move by 4 mm in each of four directions."""
    px = SHIFT_MM / PIXEL_MM
    return [centre(shift(slabs, (0, *by), order=1, mode="nearest")) for by in ((px, 0), (-px, 0), (0, px), (0, -px))]


def rotated(slabs: Slabs) -> list[Slabs]:
    """Turn by 5 degrees to either side."""
    angles = (-ROTATION_DEG, ROTATION_DEG)
    return [centre(rotate(slabs, angle, axes=(1, 2), reshape=False, order=1, mode="nearest")) for angle in angles]


def noisy(slabs: Slabs) -> list[Slabs]:
    """Add white noise of 20 HU."""
    random = np.random.default_rng(1)
    return [centre(slabs + random.normal(0.0, NOISE_SD_HU, slabs.shape).astype(np.float32)) for _ in range(NOISE_DRAWS)]


def line_slope(values: list[float]) -> float:
    """Slope of what was read over the HU that were added."""
    return float(np.polyfit(COUNTERFACTUAL_HU, values, 1)[0])


def column(rows: Sequence[Row], name: str) -> NDArray[np.float64]:
    """One field of all rows."""
    return np.array([getattr(row, name) for row in rows], dtype=np.float64)


def root_mean_square(errors: NDArray[np.float64]) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(errors**2)))


def table(rows: Sequence[Row]) -> str:
    """One line a vertebra."""
    head = (
        "| vertebra | contrast | ROI HU | read | depth mm | read | physics | BMD_CNN | SD | disc SD |"
        " cf BMD | cf HU | shift | turn | noise |"
    )
    return "\n".join([head, "|" + "---|" * 15, *(_line(row) for row in rows)])


def _line(row: Row) -> str:
    return (
        f"| {row.patient} {row.level} | {row.enhanced} | {row.roi_hu:.0f} | {row.hu_read:.0f} | {row.depth_mm:.1f} | "
        f"{row.depth_read_mm:.1f} | {row.bmd_physics:.3f} | {row.bmd_read:.3f} | {row.sd_middle:.3f} | "
        f"{row.sd_disc:.3f} | {row.counterfactual_bmd:.2f} | {row.counterfactual_hu:.2f} | {row.shift_change:.3f} | "
        f"{row.rotation_change:.3f} | {row.noise_change:.3f} |"
    )


def summary_table(summary: Summary) -> str:
    """Every figure, the gated ones with what is required."""
    gates, lines = summary.gates(), ["| figure | value | required |", "|---|---|---|"]
    for name, value in asdict(summary).items():
        required = "{1:g} to {2:g}".format(*gates[name]) if name in gates else ""
        missed = " (missed)" if name in summary.failures() else ""
        lines.append(f"| {name} | {value:.4g} | {required}{missed} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None, bodies: Callable[[], list[RealBody]] = read_bodies) -> int:
    """Print the tables; 0 where every gate holds, else 1."""
    parser = argparse.ArgumentParser(description="Read real CT and compare with the physics value.")
    parser.add_argument("--checkpoint", type=Path, help="default: the bundled weights")
    parser.add_argument("--json", type=Path, help="write rows and summary here")
    chosen = parser.parse_args(argv)
    rows = evaluate(load_predictor(chosen.checkpoint, "cpu"), [body for body in bodies() if body.level in MEASURED])
    summary = summarise(rows)
    sys.stdout.write(f"{table(rows)}\n\n{summary_table(summary)}\n")
    if chosen.json:
        document = {"rows": [asdict(row) for row in rows], "summary": asdict(summary)}
        chosen.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if summary.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
