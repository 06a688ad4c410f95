from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from screening.errors import UserError
from screening.records.batch import Format
from screening.records.checking import Checked
from screening.records.dxa import check_dxa
from screening.records.dxa_tables import read_dxa_table
from screening.records.identities import Identities
from screening.records.settings import RecordSettings

HEADER = "patient_id,dxa_date,region,bmd_dxa,t_score,manufacturer\n"
TODAY = date(2025, 6, 30)
DEFAULTS = RecordSettings()


def imported(folder: Path, *lines: str, header: str = HEADER, settings: RecordSettings = DEFAULTS) -> list[Checked]:
    file = folder / "dxa.csv"
    file.write_text(header + "".join(line + "\n" for line in lines), encoding=settings.encoding)
    batches = read_dxa_table(file, Format.CSV, settings)
    return [check_dxa(batch, settings, Identities.load(settings), TODAY) for batch, _, _ in batches]


def accepted(checked: list[Checked]) -> pd.DataFrame:
    return pd.concat([one.accepted for one in checked])


def refused(checked: list[Checked]) -> list[tuple[int, str]]:
    rows = pd.concat([one.rejected for one in checked])
    return list(zip(rows["row_number"], rows["reason"], strict=True))


def test_a_good_row_keeps_its_values(tmp_path: Path) -> None:
    row = accepted(imported(tmp_path, "A1,2024-03-01,L1-L4,0.771,-2.51,HOLOGIC")).iloc[0]

    assert (row["patient_id"], row["dxa_date"].date(), row["region"]) == ("A1", date(2024, 3, 1), "L1-L4")
    assert (row["bmd_dxa"], row["t_score"]) == (0.771, -2.51)
    assert (row["manufacturer"], row["manufacturer_text"], row["status"]) == ("Hologic", "HOLOGIC", "final")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",2024-03-01,L1-L4,0.8,,", "no_patient"),
        ("A1,,L1-L4,0.8,,", "no_date"),
        ("A1,01.03.2024,L1-L4,0.8,,", "unreadable_date"),
        ("A1,2024-02-30,L1-L4,0.8,,", "unreadable_date"),
        ("A1,2025-07-01,L1-L4,0.8,,", "date_in_future"),
        ("A1,1986-12-31,L1-L4,0.8,,", "date_before_dxa"),
        ("A1,2024-03-01,,0.8,,", "no_region"),
        ("A1,2024-03-01,unspecified,0.8,,", "no_region"),
        ("A1,2024-03-01,elbow,0.8,,", "unknown_region"),
        ("A1,2024-03-01,forearm,0.8,,", "not_central"),
        ("A1,2024-03-01,Wards,0.8,,", "not_for_diagnosis"),
        ("A1,2024-03-01,L1-L4,0.199,,", "bmd_out_of_range"),
        ("A1,2024-03-01,L1-L4,2.501,,", "bmd_out_of_range"),
        ("A1,2024-03-01,L1-L4,-2.5,,", "bmd_out_of_range"),
        ("A1,2024-03-01,L1-L4,812,,", "bmd_out_of_range"),
        ("A1,2024-03-01,L1-L4,low,,", "not_a_number"),
        ("A1,2024-03-01,L1-L4,nan,,", "not_a_number"),
        ("A1,2024-03-01,L1-L4,-inf,,", "not_a_number"),
        ("A1,2024-03-01,L1-L4,0.8,-8.1,", "t_score_out_of_range"),
        ("A1,2024-03-01,L1-L4,0.8,8.1,", "t_score_out_of_range"),
        ("A1,2024-03-01,L1-L4,,,", "no_value"),
        ("A1,2024-03-01,L1-L4,0.8,,H,", "malformed"),
        ("A1,2024-03-01,L1-L4", "malformed"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason_and_the_others_are_read(tmp_path: Path, line: str, reason: str) -> None:
    checked = imported(tmp_path, "A0,2024-03-01,L1-L4,0.8,,", line, "A2,2024-03-01,L1-L4,0.9,,")

    assert sorted(accepted(checked)["patient_id"]) == ["A0", "A2"]
    assert refused(checked) == [(3, reason)]


def test_a_refused_row_is_kept_verbatim(tmp_path: Path) -> None:
    (checked,) = imported(tmp_path, "Ä1,2024-03-01,L1-L4, low ,,", header="Patient_ID,dxa_date,region,bmd_dxa,x,y\n")
    assert checked.rejected["record"].to_list() == [
        '{"patient_id": "Ä1", "dxa_date": "2024-03-01", "region": "L1-L4", "bmd_dxa": " low ", "x": "", "y": ""}'
    ]


@pytest.mark.parametrize("values", ["0.2,", "2.5,", ",-8", ",8", "0.8,-2.5"])
def test_the_ends_of_the_ranges_are_good(tmp_path: Path, values: str) -> None:
    assert refused(imported(tmp_path, f"A1,2024-03-01,L1-L4,{values},")) == []


@pytest.mark.parametrize("day", ["1987-01-01", "2025-06-30"])
def test_the_first_and_the_last_day_are_good(tmp_path: Path, day: str) -> None:
    assert refused(imported(tmp_path, f"A1,{day},L1-L4,0.8,,")) == []


def test_a_dxa_without_values_says_that_one_was_done(tmp_path: Path) -> None:
    row = accepted(imported(tmp_path, "A1,2024-03-01,unspecified,,,")).iloc[0]
    assert row["region"] == "unspecified"
    assert row[["bmd_dxa", "t_score", "z_score"]].isna().all()


def test_leading_zeros_of_an_identifier_survive(tmp_path: Path) -> None:
    assert accepted(imported(tmp_path, "00042,2024-03-01,L1-L4,0.8,,"))["patient_id"].to_list() == ["00042"]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("g/cm2", 0.812), ("g/cm²", 0.812), ("g/cm-2", 0.812), ("gm/cm2", 0.812), ("g/cm^2", 0.812), ("G/CM2", 0.812)],
)
def test_units_of_areal_density(tmp_path: Path, unit: str, expected: float) -> None:
    header = "patient_id,dxa_date,region,bmd_dxa,bmd_unit\n"
    assert accepted(imported(tmp_path, f"A,2024-03-01,L1-L4,0.812,{unit}", header=header))["bmd_dxa"].item() == expected


def test_milligrams_are_a_thousandth(tmp_path: Path) -> None:
    checked = imported(tmp_path, "A,2024-03-01,L1-L4,812,,", settings=RecordSettings(bmd_unit="mg/cm2"))
    assert accepted(checked)["bmd_dxa"].item() == 0.812


@pytest.mark.parametrize(
    ("unit", "reason"),
    [("mg/cm3", "volumetric"), ("{T-score}", "unit_not_of_code"), ("kg/m2", "unknown_unit"), ("", "no_unit")],
)
def test_other_units_are_refused(tmp_path: Path, unit: str, reason: str) -> None:
    assert refused(imported(tmp_path, "A,2024-03-01,L1-L4,0.8,,", settings=RecordSettings(bmd_unit=unit))) == [
        (2, reason)
    ]


def test_a_point_where_the_mark_is_a_comma_is_refused(tmp_path: Path) -> None:
    settings = RecordSettings(delimiter=";", decimal=",")
    header = "patient_id;dxa_date;region;t_score\n"
    checked = imported(tmp_path, "A;2024-03-01;L1-L4;-0.5", "B;2024-03-01;L1-L4;-0,5", header=header, settings=settings)
    assert accepted(checked)["t_score"].to_list() == [-0.5]
    assert refused(checked) == [(2, "not_a_number")]


def test_the_decimal_mark_of_a_csv_is_none_of_parquet(tmp_path: Path) -> None:
    file = tmp_path / "dxa.parquet"
    rows = {"patient_id": ["A"], "dxa_date": ["2024-03-01"], "region": ["L1-L4"], "t_score": [-0.5]}
    pd.DataFrame(rows).to_parquet(file)
    settings = RecordSettings(decimal=",")
    ((batch, *_),) = read_dxa_table(file, Format.PARQUET, settings)
    assert check_dxa(batch, settings, Identities.load(settings), TODAY).accepted["t_score"].to_list() == [-0.5]


def test_the_site_names_its_columns_dates_and_decimals(tmp_path: Path) -> None:
    settings = RecordSettings(
        columns={"patient_id": "MRN", "dxa_date": "Scan Date", "bmd_dxa": "BMD"},
        defaults={"region": "L2-L4", "manufacturer": "Lunar"},
        date_formats=("%d.%m.%Y", "%Y%m%d"),
        delimiter=";",
        decimal=",",
        encoding="latin-1",
    )
    checked = imported(
        tmp_path, "A;01.03.2024;0,812", "B;20240302;1,2", header="MRN;Scan Date;BMD\n", settings=settings
    )
    rows = accepted(checked)
    assert rows["bmd_dxa"].to_list() == [0.812, 1.2]
    assert rows["dxa_date"].dt.date.to_list() == [date(2024, 3, 1), date(2024, 3, 2)]
    assert set(rows["region"]) == {"L2-L4"}
    assert set(rows["manufacturer"]) == {"GE"}


def test_columns_of_one_region_each_give_one_record_each(tmp_path: Path) -> None:
    settings = RecordSettings(
        wide_columns={
            "L1-L4": {"bmd_dxa": "L1L4BMD", "t_score": "L1L4TScr"},
            "total_hip": {"bmd_dxa": "HipBMD"},
        }
    )
    header = "patient_id,dxa_date,L1L4BMD,L1L4TScr,HipBMD\n"
    checked = imported(
        tmp_path, "A,2024-03-01,0.8,-2.1,0.7", "B,2024-03-01,,,9", "C,2024-03-01,,,", header=header, settings=settings
    )
    rows = accepted(checked).sort_values("region")
    assert rows[["patient_id", "region", "bmd_dxa"]].to_numpy().tolist() == [
        ["A", "L1-L4", 0.8],
        ["A", "total_hip", 0.7],
    ]
    assert sorted(refused(checked)) == [(3, "bmd_out_of_range"), (4, "no_value")]


def test_identifiers_of_others_are_matched_by_the_crosswalk(tmp_path: Path) -> None:
    crosswalk = tmp_path / "crosswalk.csv"
    crosswalk.write_text("issuer,identifier,patient_id\nRIS,77,A\n")
    settings = RecordSettings(own_issuers=("HIS",), crosswalk=crosswalk)
    checked = imported(
        tmp_path,
        "RIS,77,2024-03-01,L1-L4,0.8",
        "RIS,78,2024-03-01,L1-L4,0.8",
        "LAB,77,2024-03-01,L1-L4,0.8",
        "HIS,77,2024-03-01,L1-L4,0.8",
        ",78,2024-03-01,L1-L4,0.8",
        header="issuer,patient_id,dxa_date,region,bmd_dxa\n",
        settings=settings,
    )
    assert accepted(checked)["patient_id"].to_list() == ["A", "77", "78"]
    assert refused(checked) == [(3, "not_in_crosswalk"), (4, "unknown_issuer")]


def test_a_crosswalk_that_contradicts_itself_is_said(tmp_path: Path) -> None:
    crosswalk = tmp_path / "crosswalk.csv"
    crosswalk.write_text("issuer,identifier,patient_id\nRIS,77,A\nRIS,77,B\n")
    with pytest.raises(UserError, match="more than one patient"):
        Identities.load(RecordSettings(crosswalk=crosswalk))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lacks the column region"):
        imported(tmp_path, "A1,2024-03-01,0.8", header="patient_id,dxa_date,bmd_dxa\n")


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Cannot read"):
        list(read_dxa_table(tmp_path / "none.csv", Format.CSV, DEFAULTS))


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    file = tmp_path / "dxa.csv"
    file.write_bytes(HEADER.encode() + b"A,2024-03-01,L1-L4,0.8,,\xff\xfe\n")
    with pytest.raises(UserError, match="cannot be read"):
        list(read_dxa_table(file, Format.CSV, DEFAULTS))


def test_a_byte_order_mark_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    checked = imported(tmp_path, "", "A1,2024-03-01,L1-L4,0.8,,", "", ",,,,,", header="\ufeff" + HEADER)
    assert len(accepted(checked)) == 1
    assert refused(checked) == []


def test_semicolons_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="separated by commas"):
        imported(tmp_path, "A1;2024-03-01", header="patient_id;dxa_date;region\n")


def test_a_quote_that_does_not_end_takes_no_other_line_with_it(tmp_path: Path) -> None:
    lines = [f"{name},2024-03-01,L1-L4,0.8,," for name in "ABCD"]
    checked = imported(
        tmp_path, lines[0], '"open,2024-03-01,L1-L4,0.8,,', *lines[1:3], 'E,"2024-03-01",L1-L4,0.8,,', lines[3]
    )
    assert sorted(accepted(checked)["patient_id"]) == ["A", "B", "C", "D", "E"]
    assert refused(checked) == [(3, "malformed")]


def test_the_first_line_of_a_file_without_header_is_told_to_nobody(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        imported(tmp_path, header="SECRET-ID,2025-01-03,L1-L4,0.9\n")
    assert "secret" not in str(error.value).lower()


def test_a_column_named_twice_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="bmd_dxa more than once"):
        imported(tmp_path, header="patient_id,dxa_date,region,bmd_dxa,BMD_DXA\n")


def test_parquet_is_read_as_it_is_typed(tmp_path: Path) -> None:
    file = tmp_path / "dxa.parquet"
    pd.DataFrame(
        {
            "patient_id": [7, 8],
            "dxa_date": pd.to_datetime(["2024-03-01", "2024-03-02"]),
            "region": ["L1-L4", "hip"],
            "bmd_dxa": [0.771, None],
            "t_score": [None, -2.5],
        }
    ).to_parquet(file)
    ((batch, *_),) = read_dxa_table(file, Format.PARQUET, DEFAULTS)
    rows = check_dxa(batch, DEFAULTS, Identities.load(DEFAULTS), TODAY).accepted
    assert rows["patient_id"].to_list() == ["7", "8"]
    assert rows["bmd_dxa"].to_list()[0] == 0.771
    assert rows["dxa_date"].dt.date.to_list() == [date(2024, 3, 1), date(2024, 3, 2)]
