"""Every file of a collection of odd DICOM -> what the product makes of it, checked against a second decoder.

    python tests/real/zoo.py [FOLDER] [--markdown FILE]

Of each file: the header is read, or the file is a counted problem; the picture is decoded to HU, or excluded with a
reason. Decoded pictures are compared value by value with another library: DCMTK (called as programs; apt-get install
dcmtk), or GDCM where DCMTK has no such decoder (JPEG 2000) and the product does not use GDCM itself. The rescaling is
repeated here from what DCMTK's dcmdump says. Exit status 1 on any difference and on any exception that is not a reason.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID

from screening.archive.folder import files_below
from screening.archive.header import FoundFile, NotIndexed, read_header
from screening.archive.index import Instance, Series, Study
from screening.errors import Excluded
from screening.imaging.eligibility import EligibilitySettings, judge_series
from screening.imaging.hounsfield import DECODERS, FLOOR_HU, read_slice_hu

ZOO = Path(__file__).parents[2].parent / "shared" / "data" / "zoo"
DCMTK = Path("/usr/bin")  # by full path: pynetdicom installs programs of the same names
DCMTK_PROGRAMS = {
    "1.2.840.10008.1.2.4.57": "dcmdjpeg",
    "1.2.840.10008.1.2.4.70": "dcmdjpeg",
    "1.2.840.10008.1.2.4.80": "dcmdjpls",
    "1.2.840.10008.1.2.5": "dcmdrle",
    "1.2.840.10008.1.2": "dcmconv",
    "1.2.840.10008.1.2.1": "dcmconv",
    "1.2.840.10008.1.2.2": "dcmconv",
    "1.2.840.10008.1.2.1.99": "dcmconv",
}
GDCM_PROGRAM = """
import sys, gdcm
reader = gdcm.ImageReader()
reader.SetFileName(sys.argv[1])
if not reader.Read(): sys.exit("GDCM cannot read the file")
sys.stdout.buffer.write(reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape"))
"""
SECONDS = 60.0

EQUAL, DIFFERENT, NO_SECOND = "equal", "DIFFERENT", "no second decoder here"

Picture = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file."""

    name: str
    syntax: str
    header: str  # "read" or the problem
    judged: str  # what a study of this file alone would be told
    picture: str  # "decoded" or the reason
    compared: str  # with the second decoder

    @property
    def is_fault(self) -> bool:
        """Whether the product broke, or the second decoder sees another picture."""
        return any(
            text.startswith(("CRASH", DIFFERENT)) for text in (self.header, self.judged, self.picture, self.compared)
        )


def outcome_of_file(found: FoundFile, root: Path) -> Outcome:
    """Take one file as far as it goes."""
    name = str(found.path.relative_to(root))
    try:
        instance = read_header(found)
    except NotIndexed as problem:
        return Outcome(name, "", str(problem.problem), "", "", "")
    except Exception as error:  # noqa: BLE001  to be found is what the script is for
        return Outcome(name, "", f"CRASH {type(error).__name__}", "", "", "")
    picture, compared = _picture(instance)
    return Outcome(name, instance.transfer_syntax_uid, "read", _judged(instance), picture, compared)


def _judged(instance: Instance) -> str:
    study = Study(instance.study_instance_uid, (Series(instance.series_instance_uid, (instance,)),))
    try:
        return str(judge_series(study, EligibilitySettings()).excluded[0].reason)
    except Exception as error:  # noqa: BLE001
        return f"CRASH {type(error).__name__}"


def _picture(instance: Instance) -> tuple[str, str]:
    try:
        hu = read_slice_hu(instance)
    except Excluded as reason:
        return str(reason), ""
    except Exception as error:  # noqa: BLE001
        return f"CRASH {type(error).__name__}", ""
    with tempfile.TemporaryDirectory() as folder:
        name, other = second_opinion(instance, Path(folder))
    if other is None:
        return "decoded", NO_SECOND
    same = other.shape == hu.shape and bool(np.array_equal(other, hu))
    return "decoded", f"{EQUAL} to {name}" if same else f"{DIFFERENT} from {name}"


def second_opinion(instance: Instance, folder: Path) -> tuple[str, Picture | None]:
    """Decode with another library and rescale; (library, HU or None where none can)."""
    program = DCMTK_PROGRAMS.get(instance.transfer_syntax_uid)
    if program is not None and (DCMTK / program).exists():
        plain = folder / "plain.dcm"
        options = ["--write-xfer-little"] if program == "dcmconv" else []
        _run(DCMTK / program, *options, instance.path, plain)
        _run(DCMTK / "dcmdump", "--write-pixel", folder, plain)
        stored = next(folder.glob("*.raw")).read_bytes()
        return f"DCMTK {program}", hounsfield(stored, dumped(plain))
    if DECODERS.get(UID(instance.transfer_syntax_uid)) in ("pylibjpeg", "pyjpegls") and (DCMTK / "dcmdump").exists():
        text = _run(sys.executable, "-c", GDCM_PROGRAM, instance.path)
        return "GDCM", hounsfield(text, dumped(instance.path))
    return "", None


def _run(*command: str | Path) -> bytes:
    return subprocess.run(command, check=True, capture_output=True, timeout=SECONDS).stdout


def dumped(path: Path) -> dict[str, float]:
    """Read the first value of every numeric element by DCMTK's dcmdump."""
    text = _run(DCMTK / "dcmdump", "--convert-un", path).decode("latin-1")
    lines = re.findall(r"^\((\w{4},\w{4})\) (?:US|SS|DS) \[? *(-?[\d.eE+-]+)", text, re.MULTILINE)
    return {tag: float(value) for tag, value in reversed(lines)}


def hounsfield(stored: bytes, elements: dict[str, float]) -> Picture:
    """Rescale raw little-endian pixels, PS3.3 C.11.1.1.2; padding and what is below the scale is set to its end."""
    size, signed = int(elements["0028,0100"]) // 8, elements["0028,0103"] == 1
    shape = int(elements["0028,0010"]), int(elements["0028,0011"])
    values = np.frombuffer(stored, f"<{'i' if signed else 'u'}{size}", shape[0] * shape[1]).reshape(shape)
    hu = values.astype(np.float64) * elements["0028,1053"] + elements["0028,1052"]
    padding = [elements[tag] for tag in ("0028,0120", "0028,0121") if tag in elements]
    if padding:
        as_stored = np.array(padding).astype(np.int64).astype(values.dtype)
        hu[(values >= as_stored.min()) & (values <= as_stored.max())] = FLOOR_HU
    return np.rint(np.clip(hu, FLOOR_HU, np.iinfo(np.int16).max)).astype(np.int16)


def report(outcomes: Iterable[Outcome]) -> str:
    """Count by transfer syntax and outcome; then list every file."""
    listed = list(outcomes)
    head = "| transfer syntax | header | picture | second decoder | files |\n|---|---|---|---|---|\n"
    counts = Counter((_named(one.syntax), one.header, one.picture.split(":")[0], one.compared) for one in listed)
    table = "".join(f"| {' | '.join(kind)} | {count} |\n" for kind, count in sorted(counts.items()))
    files = "".join(
        f"| {one.name} | {_named(one.syntax)} | {one.header} | {one.judged} | {one.picture} |\n" for one in listed
    )
    return (
        f"{head}{table}\n| file | transfer syntax | header | series alone | picture |\n|---|---|---|---|---|\n{files}"
    )


def _named(syntax: str) -> str:
    return f"{UID(syntax).name} ({syntax})" if syntax else "-"


def main(argv: list[str] | None = None) -> int:
    """Print the tables; 1 where the product broke or a second decoder disagrees."""
    parser = argparse.ArgumentParser(description="Read every file of a collection and compare with a second decoder.")
    parser.add_argument("folder", type=Path, nargs="?", default=ZOO)
    parser.add_argument("--markdown", type=Path, help="write the tables here too")
    chosen = parser.parse_args(argv)
    if shutil.which("dcmdump", path=str(DCMTK)) is None:
        sys.stdout.write("DCMTK is not installed: nothing is compared.\n")
    outcomes = [outcome_of_file(found, chosen.folder) for found in files_below(chosen.folder)]
    tables = report(outcomes)
    sys.stdout.write(tables)
    if chosen.markdown:
        chosen.markdown.write_text(tables)
    faults = [one for one in outcomes if one.is_fault]
    sys.stdout.write(f"{len(outcomes)} files, {len(faults)} faults\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
