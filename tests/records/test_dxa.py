import json
from pathlib import Path

import pytest

from screening.errors import UserError
from screening.records.dxa import DxaImport, read_dxa_csv

HEADER = "patient_id,dxa_date,region,bmd_dxa,t_score,manufacturer\n"


def imported(folder: Path, *lines: str, header: str = HEADER) -> DxaImport:
    file = folder / "dxa.csv"
    file.write_text(header + "".join(line + "\n" for line in lines), encoding="utf-8")
    return read_dxa_csv(file)


def test_a_good_row_keeps_its_values(tmp_path: Path) -> None:
    result = imported(tmp_path, "A1,2024-03-01,L1-L4,0.771,-2.51,Hologic")

    assert result.rejected == ()
    row = result.accepted[0]
    assert (row["patient_id"], str(row["dxa_date"]), row["region"]) == ("A1", "2024-03-01", "L1-L4")
    assert (row["bmd_dxa"], row["t_score"], row["manufacturer"]) == (0.771, -2.51, "Hologic")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",2024-03-01,L1-L4,0.8,,", "patient_id: missing"),
        ("A1,01.03.2024,L1-L4,0.8,,", "dxa_date"),
        ("A1,2999-01-01,L1-L4,0.8,,", "in the future"),
        ("A1,1950-01-01,L1-L4,0.8,,", "dxa_date"),
        ("A1,2024-03-01,forearm,0.8,,", "region"),
        ("A1,2024-03-01,L1-L4,0.19,,", "bmd_dxa"),
        ("A1,2024-03-01,L1-L4,2.51,,", "bmd_dxa"),
        ("A1,2024-03-01,L1-L4,-2.5,,", "bmd_dxa"),
        ("A1,2024-03-01,L1-L4,low,,", "bmd_dxa"),
        ("A1,2024-03-01,L1-L4,nan,,", "bmd_dxa"),
        ("A1,2024-03-01,L1-L4,0.8,-8.1,", "t_score"),
        ("A1,2024-03-01,L1-L4,,,", "both missing"),
    ],
)
def test_a_bad_row_is_kept_verbatim_with_its_reason(tmp_path: Path, line: str, reason: str) -> None:
    result = imported(tmp_path, "A0,2024-03-01,L1-L4,0.8,,", line)

    assert len(result.accepted) == 1
    (rejected,) = result.rejected
    assert reason in rejected["reason"]
    assert rejected["row_number"] == 3
    assert list(json.loads(rejected["record"]).values()) == line.split(",")


@pytest.mark.parametrize("bmd", ["0.2", "2.5"])
def test_the_ends_of_the_range_are_good(tmp_path: Path, bmd: str) -> None:
    assert len(imported(tmp_path, f"A1,2024-03-01,L1-L4,{bmd},,").accepted) == 1


def test_leading_zeros_of_an_identifier_survive(tmp_path: Path) -> None:
    assert imported(tmp_path, "00042,2024-03-01,L1-L4,0.8,,").accepted[0]["patient_id"] == "00042"


def test_a_t_score_alone_is_enough(tmp_path: Path) -> None:
    row = imported(tmp_path, "A1,2024-03-01,-2.5,L1-L4", header="patient_id,dxa_date,t_score,region\n").accepted[0]
    assert (row["bmd_dxa"], row["t_score"], row["manufacturer"]) == (None, -2.5, "")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lacks the column region"):
        imported(tmp_path, "A1,2024-03-01,0.8", header="patient_id,dxa_date,bmd_dxa\n")


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Cannot read"):
        read_dxa_csv(tmp_path / "none.csv")


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    file = tmp_path / "dxa.csv"
    file.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UserError, match="cannot be read"):
        read_dxa_csv(file)


def test_a_row_with_too_many_fields_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    result = imported(tmp_path, "A1,2024-03-01,L1-L4,0.8,,H,", "A2,2024-03-01,L1-L4,0.9,,H")
    assert [row["patient_id"] for row in result.accepted] == ["A2"]
    assert [(row["row_number"], row["reason"]) for row in result.rejected] == [(2, "wrong number of fields")]
    assert json.loads(result.rejected[0]["record"]) == {"fields": ["A1", "2024-03-01", "L1-L4", "0.8", "", "H", ""]}


def test_of_two_rows_with_the_same_key_the_last_one_counts(tmp_path: Path) -> None:
    result = imported(tmp_path, "A1,2024-03-01,L1-L4,0.8,,H", "A1,2024-03-01,L1-L4,0.9,,H")
    assert [row["bmd_dxa"] for row in result.accepted] == [0.9]
    assert [row["reason"] for row in result.rejected] == ["replaced by a later row of the file"]


def test_a_byte_order_mark_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "dxa.csv"
    file.write_text("\ufeff" + HEADER + "\nA1,2024-03-01,L1-L4,0.8,,\n\n", encoding="utf-8")
    result = read_dxa_csv(file)
    assert (len(result.accepted), result.rejected) == (1, ())


def test_semicolons_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="separated by commas"):
        imported(tmp_path, "A1;2024-03-01", header="patient_id;dxa_date;region\n")


def test_a_column_named_twice_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="bmd_dxa more than once"):
        imported(tmp_path, header="patient_id,dxa_date,region,bmd_dxa,BMD_DXA\n")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Cannot read"):
        read_dxa_csv(tmp_path)
