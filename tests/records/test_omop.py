from datetime import date
from pathlib import Path

import pytest

from screening.errors import UserError
from screening.records.checking import Checked
from screening.records.dxa import check_dxa
from screening.records.identities import Identities
from screening.records.omop import read_measurements
from screening.records.settings import RecordSettings

HEADER = (
    "measurement_id,person_id,measurement_concept_id,measurement_date,value_as_number,unit_concept_id,"
    "unit_source_value\n"
)
OWN = RecordSettings(own_issuers=("omop",))


def imported(folder: Path, *lines: str, settings: RecordSettings = OWN) -> Checked:
    file = folder / "measurement.csv"
    file.write_text(HEADER + "".join(f"{line}\n" for line in lines))
    ((batch, *_),) = read_measurements(file, settings)
    return check_dxa(batch, settings, Identities.load(settings), date(2025, 6, 30))


def test_concepts_tell_quantity_and_region(tmp_path: Path) -> None:
    rows = imported(
        tmp_path,
        "1,7,3033804,2024-03-01,0.812,32700,",
        "2,7,3049654,2024-03-01,-2.5,0,",
        "3,7,3049278,2024-03-01,-1.5,,{T-score}",
    ).accepted
    assert rows["region"].to_list() == ["L1-L4", "L1-L4", "total_hip"]
    assert rows["bmd_dxa"].dropna().to_list() == [0.812]
    assert rows["t_score"].dropna().to_list() == [-2.5, -1.5]
    assert set(rows["issuer"]) == {"omop"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,7,3049654,2024-03-01,0.887,32700,", "unit_not_of_code"),
        ("1,7,3033804,2024-03-01,0.812,0,", "no_unit"),
        ("1,7,3033804,2024-03-01,0.812,9999,", "unknown_unit"),
        ("1,7,3033804,2024-03-01,,32700,", "no_value"),
        ("1,,3033804,2024-03-01,0.8,32700,", "no_patient"),
    ],
)
def test_a_bad_row_is_refused(tmp_path: Path, line: str, reason: str) -> None:
    checked = imported(tmp_path, line, "9,7,3033804,2024-03-01,0.812,32700,")
    assert checked.rejected["reason"].to_list() == [reason]
    assert len(checked.accepted) == 1


def test_other_measurements_are_passed_over_and_counted(tmp_path: Path) -> None:
    checked = imported(tmp_path, "1,7,3004249,2024-03-01,120,,", "2,7,3033804,2024-03-01,0.812,32700,")
    assert (checked.batch.passed_over, checked.read_count) == (1, 1)


def test_persons_need_a_crosswalk_where_their_ids_are_not_the_archives_own(tmp_path: Path) -> None:
    crosswalk = tmp_path / "crosswalk.csv"
    crosswalk.write_text("issuer,identifier,patient_id\nomop,7,A\n")
    line = "1,7,3033804,2024-03-01,0.812,32700,"
    assert imported(tmp_path, line, settings=RecordSettings(crosswalk=crosswalk)).accepted["patient_id"].item() == "A"
    assert imported(tmp_path, line, settings=RecordSettings()).rejected["reason"].item() == "unknown_issuer"


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "measurement.csv").write_text("person_id,measurement_concept_id,measurement_date\n")
    with pytest.raises(UserError, match="value_as_number"):
        list(read_measurements(tmp_path / "measurement.csv", OWN))
