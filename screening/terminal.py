"""What a command shows at its end: tables of what was counted, measured and flagged."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from screening.store.database import sql
from screening.store.ledger import Ledger, ledger_lines

if TYPE_CHECKING:
    from screening.exchange.pairs_export import PairsExport
    from screening.explaining import Explanation
    from screening.sweep import SweepResult

console: Final = Console(width=None if sys.stdout.isatty() else 120)


def show_sweep(console: Console, result: "SweepResult") -> None:
    """Print what a sweep counted, and its books."""
    index = result.index
    table = Table(title=f"Sweep {result.sweep_id}: {result.state}", title_justify="left")
    table.add_column("counted")
    table.add_column("number", justify="right")
    for name, count in (
        (
            f"files found ({'every file' if index.full else 'only folders that changed'} looked at)",
            result.file_found_count,
        ),
        ("  headers read (new or changed)", result.file_read_count),
        ("  added", index.added_count),
        ("  changed", index.changed_count),
        ("  moved", index.moved_count),
        ("  vanished", index.vanished_count),
        ("studies found", result.study_found_count),
        ("  still arriving, left for the next sweep", result.study_settling_count),
        ("  read now", result.study_read_count),
        ("    measured", result.measured_count),
        ("    excluded with a reason", result.excluded_count),
        ("    failed", result.failed_count),
        ("  left for the next sweep", result.study_pending_count),
    ):
        table.add_row(name, str(count))
    console.print(table)
    console.print(_ledger_table(result.books))


def _ledger_table(books: Ledger) -> Table:
    """Found on one side, what became of it on the other; the sums are the same, or it says so."""
    table = Table(title="Ledger: every file and series in exactly one bucket", title_justify="left")
    for name in ("what", "found", "became"):
        table.add_column(name)
    table.add_column("number", justify="right")
    for unit, side, bucket, reason, count in ledger_lines(books):
        if count:
            table.add_row(*_ledger_cells(unit, side, bucket, reason), str(count))
    table.caption = "; ".join(books.discrepancies) or "adds up"
    table.caption_justify = "left"
    return table


def _ledger_cells(unit: str, side: str, bucket: str, reason: str) -> tuple[str, str, str]:
    words = "looked at, or in an unchanged folder" if bucket == "looked_at" else _words(bucket, reason)
    return (unit, words, "") if side == "found" else (unit, "", words)


def show_pairs(console: Console, exported: "PairsExport") -> None:
    """Print what an export of pairs counted; every paired study is in one of the lines."""
    table = Table(title="Pairs of CT and DXA", title_justify="left")
    table.add_column("counted")
    table.add_column("number", justify="right")
    table.add_row("patients written", str(exported.patient_count))
    table.add_row("  slices through bodies", str(exported.body_count))
    table.add_row("  slices through discs", str(exported.disc_count))
    table.add_row("studies left out", str(sum(exported.left_out.values())))
    for reason, count in sorted(exported.left_out.items()):
        table.add_row(f"  {reason}", str(count))
    console.print(table)


def show_database(console: Console, published: Path, agreement_title: str) -> None:
    """Print what the published database holds: outcomes by reason, flagged patients, agreement with DXA."""
    with duckdb.connect(published, read_only=True) as connection:
        for title, query in (
            ("How each study ended", "outcomes_by_reason"),
            ("Files that are not indexed", "file_problems_by_reason"),
            ("Flagged: likely osteoporosis and no DXA", "flagged_patients"),
            (agreement_title, "agreement"),
        ):
            console.print(_table(title, connection.execute(sql(f"queries/{query}"))))


def show_patient(console: Console, published: Path, patient_id: str, title: str) -> None:
    """Print the levels and the value of one patient."""
    with duckdb.connect(published, read_only=True) as connection:
        console.print(_table(title, connection.execute(sql("queries/patient_levels"), [patient_id])))
        console.print(_table("", connection.execute(sql("queries/patient_value"), [patient_id])))


def show_explanation(console: Console, explained: "Explanation") -> None:
    """Print how a study ended, the decision about every series, and what was read in every vertebra."""
    age = "age not known" if explained.age_years is None else f"{explained.age_years:.0f} years"
    ended = _words(explained.outcome["status"], explained.outcome["reason"], explained.outcome["stage"])
    console.print(f"Study {explained.study_instance_uid}: {ended}", markup=False, style="bold")
    console.print(f"{age}; {explained.source}", markup=False, highlight=False)
    console.print(_series_table(explained))
    if explained.vertebrae:
        console.print(_vertebra_table(explained))
    if explained.value is not None:
        console.print(_value(explained.value), markup=False, highlight=False)


def _series_table(explained: "Explanation") -> Table:
    table = Table(title="Series", title_justify="left", show_lines=True)
    for name in ("series", "slices", "kernel, voltage", "contrast", "decision and facts"):
        table.add_column(name, overflow="fold", ratio=3 if name == "decision and facts" else None)
    for series in explained.series:
        table.add_row(
            escape(_lines(series["series_description"] or "no description", series["acquisition"], series["modality"])),
            _slices(series),
            escape(
                _lines(series["convolution_kernel"] or "no kernel", series["kernel"], _unit(series["kvp_kv"], "kV"))
            ),
            _contrast(series),
            escape(_decision(series)),
        )
    return table


def _slices(series: Mapping[str, Any]) -> str:
    tilt = series["obliquity_deg"]
    return _lines(
        f"{series['instance_count']} files",
        _unit(series["spacing_mm"], "mm steps", ".2f") or "no regular stack",
        _unit(series["coverage_mm"], "mm covered"),
        "no common orientation" if tilt is None else f"{tilt:.0f}° off axial",
    )


def _contrast(series: Mapping[str, Any]) -> str:
    return _lines(
        f"header {series['stated_phase'] or 'not known'}",
        f"aorta {_unit(series['aorta_hu'], 'HU')}" if series["aorta_hu"] is not None else "",
        f"kidneys {_unit(series['kidney_hu'], 'HU')}" if series["kidney_hu"] is not None else "",
    )


def _decision(series: Mapping[str, Any]) -> str:
    """The decision with the facts behind it; a fact that is the reason is not said twice."""
    decision = "measured" if series["chosen"] else _words(series["reason"])
    levels = series["level_detail"]
    anchors = [f"{tissue} {series[f'{tissue}_hu']:.0f}" for tissue in ("air", "fat", "muscle") if _has(series, tissue)]
    return _lines(
        decision,
        series["detail"],
        f"levels {series['level_certainty']}: {levels}" if levels and levels != series["detail"] else "",
        f"{', '.join(anchors)} HU" if anchors else "",
    )


def _has(series: Mapping[str, Any], tissue: str) -> bool:
    return series[f"{tissue}_hu"] is not None


def _vertebra_table(explained: "Explanation") -> Table:
    table = Table(title="Vertebrae", title_justify="left")
    table.add_column("level")
    for name in ("sure", "z mm", "HU", "SD", "heights a/m/p mm", "loss %", "metal mm³", "BMD_CNN"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("use")
    for body in explained.vertebrae:
        heights = [body[f"{place}_height_mm"] for place in ("anterior", "middle", "posterior")]
        table.add_row(
            body["level"],
            f"{body['confidence']:.2f}",
            f"{body['lower_z_mm']:.0f} to {body['upper_z_mm']:.0f}",
            _unit(body["attenuation_hu"]),
            _unit(body["attenuation_sd_hu"]),
            " / ".join(_unit(height) or "-" for height in heights),
            _unit(None if body["height_loss"] is None else 100 * body["height_loss"]),
            _unit(body["metal_mm3"]),
            _unit(body["bmd_cnn"], form=".3f"),
            "used" if body["used"] else _words(body["reason"]),
        )
    return table


def _value(value: Mapping[str, Any]) -> str:
    interval = f"{value['bmd_low']:.3f} to {value['bmd_high']:.3f}"
    return _lines(
        f"BMD_CNN {value['bmd_cnn']:.3f} g/cm2 (90 % interval {interval}) of {' '.join(value['levels'])}, "
        f"T-score {value['t_score']:.1f} against {value['reference']}: {_words(value['band'])}",
        *(f"! {warning}" for warning in value["warnings"]),
    )


def _lines(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _unit(number: float | None, unit: str = "", form: str = ".0f") -> str:
    return "" if number is None else f"{number:{form}} {unit}".rstrip()


def _words(*stored: str | None) -> str:
    """Write stored words as a reader would."""
    return ", ".join(word.replace("_", " ") for word in stored if word)


def _table(title: str, result: duckdb.DuckDBPyConnection) -> Table:
    rows = result.fetchall()
    table = Table(title=title, title_justify="left", caption=None if rows else "none", caption_justify="left")
    for name, *_ in result.description or []:
        table.add_column(name)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    return table
