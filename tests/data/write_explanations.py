"""Three awkward studies of the demo -> what `screening explain` says of them, as Markdown.

    python tests/data/write_explanations.py --demo DIR [--markdown FILE]

DIR is the folder of `screening demo`. Taken are the first study each, in the order of patient numbers, that holds only
contrast-enhanced series, that has no lumbar spine to read, and whose level names are uncertain; where the demo has none
of a kind, the next reason in `WANTED` stands in. The study must still be there: its files are read again.
"""

import argparse
import sys
from pathlib import Path

import duckdb
from rich.console import Console

from screening.config import Settings
from screening.explaining import Reader, explain_study
from screening.imaging.lumbar import find_lumbar_spine
from screening.prediction.inference import load_predictor
from screening.store.database import DatabaseFolder
from screening.terminal import show_explanation

WANTED = ("contrast", "no_lumbar", "level_uncertain", "too_few_levels", "too_few_slices", "unsuitable_kernel")
COUNT = 3
WIDTH = 110


def awkward_studies(place: DatabaseFolder) -> list[str]:
    """Return the UIDs of the studies to explain."""
    with duckdb.connect(place.published, read_only=True) as connection:
        rows = connection.execute(
            "SELECT reason, arg_min(study_instance_uid, patient_id) FROM outcome "
            "JOIN study USING (study_instance_uid) JOIN model USING (checkpoint_sha256) "
            "WHERE model.active AND status = 'excluded' GROUP BY reason"
        ).fetchall()
    first = dict(rows)
    return [first[reason] for reason in WANTED if reason in first][:COUNT]


def explained(place: DatabaseFolder, reader: Reader) -> str:
    """Return what is printed of these studies, in a code block each."""
    blocks = []
    for uid in awkward_studies(place):
        console = Console(width=WIDTH, color_system=None)
        with console.capture() as captured:
            show_explanation(console, explain_study(place, uid, lambda: reader))
        lines = "\n".join(line.rstrip() for line in captured.get().splitlines())
        blocks.append(f"```text\n$ screening explain {uid} --database demo\n{lines}\n```\n")
    return "\n".join(blocks)


def main(arguments: list[str] | None = None) -> None:
    """Write the blocks."""
    parser = argparse.ArgumentParser(description="What screening explain says of three awkward studies.")
    parser.add_argument("--demo", type=Path, required=True)
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args(arguments)
    reader = Reader(find_lumbar_spine, load_predictor(device="cpu"), Settings())
    text = explained(DatabaseFolder(given.demo), reader)
    sys.stdout.write(text)
    if given.markdown:
        given.markdown.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
