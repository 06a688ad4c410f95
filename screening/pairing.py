"""Rows of paired CT and DXA -> pairs on one scale of BMD, each with or without osteoporosis by its DXA.

Densitometers of different manufacturers read the same spine up to 13 % apart. BMD_CNN is on the scale of whatever it
was calibrated to, so DXA of other manufacturers is brought there by way of the standardised BMD; one whose manufacturer
is not known enters no comparison of BMD. Osteoporosis needs no common scale: a T-score is against the manufacturer's
own reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from screening.errors import UserError
from screening.imaging.model_input import kvp_scale
from screening.prediction.tscore import Reference, is_osteoporosis
from screening.statistics import Array, Flags
from screening.validation_settings import ValidationSettings

AGE_BANDS_YEARS: Final = (50.0, 60.0, 70.0, 80.0)
THICKNESS_BANDS_MM: Final = (1.5, 3.0)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Patients with CT and DXA (n,); NaN where a figure is not known."""

    study_instance_uid: list[str]
    bmd_cnn: Array  # g/cm2
    bmd_low: Array  # g/cm2, of the 90 % interval
    bmd_high: Array
    probability: Array  # of osteoporosis, as stated
    likely: Flags  # in the band that is flagged
    attenuation_hu120: Array  # mean trabecular attenuation, HU brought to 120 kVp
    bmd_dxa: Array  # g/cm2 on the scale of BMD_CNN
    osteoporosis: Array  # by DXA: 1, 0, or NaN
    age_years: Array
    sex: list[str]  # F, M, O or unknown
    groups: pd.DataFrame  # one column a dimension, in words
    scale: str | None  # manufacturer on whose scale bmd_cnn and bmd_dxa are
    left_out: Mapping[str, int]  # reason -> patients or pairs that enter no figure, or not all

    def __len__(self) -> int:
        return len(self.bmd_cnn)


def pairs_on_one_scale(
    rows: pd.DataFrame,
    settings: ValidationSettings,
    references: Mapping[str, Reference],
    checkpoint_reference: str | None,
) -> Pairs:
    """Make the rows of queries/paired_patients comparable.

    Args:
        rows: one row a patient.
        settings: factors between scales, references of manufacturers.
        references: reference populations by name.
        checkpoint_reference: what the checkpoint's BMD is measured against, in its own words.

    Raises:
        UserError: the settings name a scale without a factor, or a reference that is not there.
    """
    certain = rows["identity_certain"].to_numpy(bool)
    rows = rows[certain].reset_index(drop=True)
    scale = _scale(settings, checkpoint_reference, list(rows["reference"].unique()))
    bmd_dxa = _on_scale(rows, scale, settings.standardised_factors)
    osteoporosis = _osteoporosis(rows, settings.references, references)
    return Pairs(
        study_instance_uid=rows["study_instance_uid"].tolist(),
        bmd_cnn=_floats(rows["bmd_cnn"]),
        bmd_low=_floats(rows["bmd_low"]),
        bmd_high=_floats(rows["bmd_high"]),
        probability=_floats(rows["osteoporosis_probability"]),
        likely=rows["likely"].to_numpy(bool),
        attenuation_hu120=_at_120_kv(_floats(rows["attenuation_hu"]), _floats(rows["kvp_kv"])),
        bmd_dxa=bmd_dxa,
        osteoporosis=osteoporosis,
        age_years=_floats(rows["age_years"]),
        sex=rows["sex"].fillna("unknown").tolist(),
        groups=_groups(rows),
        scale=scale,
        left_out={
            "identity not certain": int((~certain).sum()),
            "DXA without BMD": int(rows["bmd_dxa"].isna().sum()),
            "DXA on a scale that is not known": int((rows["bmd_dxa"].notna() & np.isnan(bmd_dxa)).sum()),
            "DXA that does not tell osteoporosis": int(np.isnan(osteoporosis).sum()),
        },
    )


def _scale(settings: ValidationSettings, checkpoint_reference: str | None, references: list[str]) -> str | None:
    """Name the manufacturer on whose scale BMD_CNN is: as set, as the checkpoint says, or as its T-scores imply."""
    known = {name.casefold(): name for name in settings.standardised_factors}
    if settings.scale is not None:
        if settings.scale.casefold() not in known:
            raise UserError(
                f"validation.scale is {settings.scale!r}, expected one of {', '.join(known.values())}: "
                "give its factor in validation.standardised_factors."
            )
        return known[settings.scale.casefold()]
    words = (checkpoint_reference or "").casefold().replace("-", " ").replace(",", " ").split()
    named = [name for folded, name in known.items() if folded in words]
    implied = [name for name, reference in settings.references.items() if references == [reference]]
    return next(iter(named if len(named) == 1 else implied), None)


def _on_scale(rows: pd.DataFrame, scale: str | None, factors: Mapping[str, float]) -> Array:
    if scale is None:
        return np.full(len(rows), np.nan)
    factor = {name.casefold(): value for name, value in factors.items()}
    of_rows = _floats(rows["dxa_manufacturer"].str.casefold().map(factor))
    return _floats(rows["bmd_dxa"]) * of_rows / factor[scale.casefold()]


def _osteoporosis(rows: pd.DataFrame, names: Mapping[str, str], references: Mapping[str, Reference]) -> Array:
    """Tell by the reported T-score, else by that of the BMD against the manufacturer's reference."""
    missing = sorted(set(names.values()) - set(references))
    if missing:
        raise UserError(f"validation.references names {missing[0]!r}, expected one of {', '.join(sorted(references))}.")
    chosen = {manufacturer.casefold(): references[name] for manufacturer, name in names.items()}
    manufacturers = rows["dxa_manufacturer"].str.casefold()
    mean = _floats(manufacturers.map({name: reference.mean_g_cm2 for name, reference in chosen.items()}))
    sd = _floats(manufacturers.map({name: reference.sd_g_cm2 for name, reference in chosen.items()}))
    reported = _floats(rows["t_score_dxa"])
    t_score = np.where(np.isnan(reported), (_floats(rows["bmd_dxa"]) - mean) / sd, reported)
    return np.where(np.isnan(t_score), np.nan, is_osteoporosis(t_score).astype(np.float64))


def _at_120_kv(hu: Array, kvp_kv: Array) -> Array:
    """Bring trabecular HU to 120 kVp; where the voltage is not known they stay as acquired."""
    scales = {kvp: kvp_scale(None if np.isnan(kvp) else float(kvp)).factor for kvp in np.unique(kvp_kv)}
    factor = pd.Series(kvp_kv).map(scales).fillna(1.0).to_numpy(np.float64)
    return np.asarray(np.where(hu > 0, hu * factor, hu), dtype=np.float64)


def _groups(rows: pd.DataFrame) -> pd.DataFrame:
    scanner = rows["manufacturer"].fillna("") + " " + rows["manufacturer_model_name"].fillna("")
    kvp = rows["kvp_kv"].round().astype("Int64").astype("string") + " kV"
    contrast = rows["contrast_enhanced"].map({True: "enhanced", False: "unenhanced"})
    columns = {
        "sex": rows["sex"],
        "age": _bands(_floats(rows["age_years"]), AGE_BANDS_YEARS, "years"),
        "manufacturer": rows["manufacturer"],
        "scanner": scanner,
        "kvp": kvp,
        "kernel": rows["convolution_kernel"],
        "slice_thickness": _bands(_floats(rows["slice_thickness_mm"]), THICKNESS_BANDS_MM, "mm"),
        "ct_month": rows["ct_month"],
        "dxa_manufacturer": rows["dxa_manufacturer"],
        "level_certainty": rows["level_certainty"],
        "contrast": contrast,
    }
    return pd.DataFrame({name: _words(values) for name, values in columns.items()})


def _words(values: pd.Series) -> pd.Series:
    """Write out what is not known; bands keep their order, names are in that of the alphabet."""
    order = list(values.cat.categories) if isinstance(values.dtype, pd.CategoricalDtype) else None
    text = values.astype("string").str.strip()
    text = text.mask(text.isna() | (text == ""), "unknown")
    names = sorted(text.unique()) if order is None else [*order, "unknown"]
    return text.astype(pd.CategoricalDtype(names)).cat.remove_unused_categories()


def _bands(values: Array, edges: tuple[float, ...], unit: str) -> pd.Series:
    names = [f"below {edges[0]:g} {unit}"]
    names += [f"{low:g} to {high:g} {unit}" for low, high in zip(edges[:-1], edges[1:], strict=True)]
    names += [f"from {edges[-1]:g} {unit}"]
    places = np.where(np.isnan(values), -1, np.searchsorted(edges, values, side="right").clip(0, len(edges)))
    return pd.Series(pd.Categorical.from_codes(places.astype(np.int64), pd.Index(names)))


def _floats(values: pd.Series) -> Array:
    return values.to_numpy(dtype=np.float64, na_value=np.nan)
