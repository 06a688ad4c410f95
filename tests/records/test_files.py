from pathlib import Path

import pytest

from screening.errors import UserError
from screening.records.batch import Format
from screening.records.files import find_sources
from screening.records.settings import RecordSettings


def test_a_letter_or_an_empty_file_in_a_folder_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "dxa.csv").write_text("patient_id,dxa_date,region,bmd_dxa\nA,2024-03-01,L1-L4,0.8\n")
    (tmp_path / "letter.txt").write_text("Dear colleague, thank you for your patient.\n")
    (tmp_path / "empty.csv").write_text("")

    found = find_sources([tmp_path], None, RecordSettings())

    assert [(source.path.name, source.source_format) for source in found.files] == [("dxa.csv", Format.CSV)]
    assert found.unknown_count == 2


def test_columns_of_the_site_are_known_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text("MRN;L1L4BMD\n")
    wide = {"L1-L4": {"bmd_dxa": "L1L4BMD"}}
    settings = RecordSettings.model_validate({"wide_columns": wide, "delimiter": ";"})

    assert len(find_sources([tmp_path], None, settings).files) == 1


def test_a_file_named_singly_must_be_of_a_known_format(tmp_path: Path) -> None:
    (tmp_path / "binary.bin").write_bytes(b"\0\1\2")
    with pytest.raises(UserError, match="of no known format"):
        find_sources([tmp_path / "binary.bin"], None, RecordSettings())
