import json
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from screening.errors import UserError
from screening.records.checking import Checked
from screening.records.dxa import check_dxa
from screening.records.hl7v2 import dxa_batches, read_messages
from screening.records.identities import Identities
from screening.records.settings import RecordSettings

TODAY = date(2025, 6, 30)
SETTINGS = RecordSettings(own_issuers=("HOSP",), codes={"LWS-T": "38267-1"})
MSH = "MSH|^~\\&|ENCORE|RAD|HIS|H|20240302081500||ORU^R01|1|P|2.5"
PID = "PID|1||X9^^^ELSEWHERE~A^^^HOSP&1.2.3&ISO^MR||DOE^JANE"
OBR = "OBR|1||O1|77^Order|||20240301093000|||||||||||||||20240302080000"
BMD = "OBX|1|NM|24966-4^BMD^LN|L1-L4|0.812|g/cm2|||||F"


def read(folder: Path, text: str, settings: RecordSettings = SETTINGS) -> list[Checked]:
    file = folder / "results.hl7"
    file.write_bytes(text.encode())
    identities = Identities.load(settings)
    batches = dxa_batches(read_messages(file), file.name, settings, identities)
    return [check_dxa(batch, settings, identities, TODAY) for batch in batches]


def message(*obx: str, pid: str = PID, obr: str = OBR) -> str:
    return "\r".join([MSH, pid, obr, *obx]) + "\r"


def accepted(checked: list[Checked]) -> pd.DataFrame:
    return pd.concat([one.accepted for one in checked], ignore_index=True)


def reasons(checked: list[Checked]) -> list[str]:
    return pd.concat([one.rejected for one in checked])["reason"].to_list()


def test_a_result_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    (row,) = accepted(read(tmp_path, message(BMD))).to_dict("records")
    assert (row["patient_id"], row["issuer"], row["manufacturer"]) == ("A", "HOSP", "GE")
    assert (row["dxa_date"].date(), row["region"], row["bmd_dxa"]) == (date(2024, 3, 1), "L1-L4", 0.812)
    assert (row["status"], row["issued_at"]) == ("final", pd.Timestamp("2024-03-02 08:00"))


@pytest.mark.parametrize("ending", ["\r", "\n", "\r\n"])
def test_segments_end_in_any_way(tmp_path: Path, ending: str) -> None:
    assert len(accepted(read(tmp_path, (message(BMD) * 2).replace("\r", ending)))) == 2


def test_frames_and_batch_heads_are_no_part_of_a_message(tmp_path: Path) -> None:
    framed = f"\x0b{message(BMD)}\x1c\r"
    batch = f"FHS|^~\\&|X\rBHS|^~\\&|X\r{message(BMD)}BTS|1\rFTS|1\r"
    assert len(accepted(read(tmp_path, framed + framed))) == 2
    assert len(accepted(read(tmp_path, batch))) == 1


@pytest.mark.parametrize(
    ("obx", "reason"),
    [
        ("OBX|1|NM|38267-1^T^LN|L1-L4|0.887|g/cm2|||||F", "unit_not_of_code"),
        ("OBX|1|NM|24966-4^BMD^LN|L1-L4|0.8||||||F", "no_unit"),
        ("OBX|1|NM|24966-4^BMD^LN|L1-L4|120|mg/cm3|||||F", "volumetric"),
        ("OBX|1|NM|24966-4^BMD^LN|L1-L4||g/cm2|||||F", "no_value"),
        ("OBX|1|NM|24966-4^BMD^LN|Forearm|0.8|g/cm2|||||F", "not_central"),
        ("OBX|1|NM|24966-4^BMD^LN|Left hip|0.8|g/cm2|||||F", "region_not_of_code"),
        ("OBX|1|SN|24966-4^BMD^LN|L1-L4|<^0.8|g/cm2|||||F", "not_a_number"),
        ("OBX|1|NM|104938-6^T^LN|L1-L4|-2.5||||||F", "not_a_dxa"),
        ("OBX|1|NM|BMDX^Bone density^L|L1-L4|0.8|g/cm2|||||F", "unknown_code"),
        ("OBX|1|NM|24966-4^BMD^LN|L1-L4|0.8|g/cm2|||||D", "withdrawn"),
        ("OBX|1|NM|24966-4^BMD^LN|L1-L4||g/cm2|||||X", "withdrawn"),
        ("OBX|1|NM|24966-4^BMD^LN|L1-L4|0.8|g/cm2|||||Q", "unknown_status"),
        ("OBX|1|NM|24966-4^BMD^LN|L1-L4|0.8|g/cm2|||||I", "no_result_yet"),
        ("OBX|1|NM|24966-4^BMD^LN|L1-L4|0.8|g/cm2|||||F|||202403", "unreadable_date"),
    ],
)
def test_a_bad_result_is_refused_and_the_others_are_read(tmp_path: Path, obx: str, reason: str) -> None:
    checked = read(tmp_path, message(obx, "OBX|2|NM|LWS-T^T^L||-2.5||||||C"))
    assert reasons(checked) == [reason]
    assert accepted(checked)["t_score"].dropna().to_list() == [-2.5]


def test_a_refused_result_is_kept_with_the_segments_it_needs(tmp_path: Path) -> None:
    (checked,) = read(tmp_path, message(BMD.replace("0.812", "8.12"), "OBX|2|NM|2345-7^Glucose^LN||100|mg/dL|||||F"))
    kept = json.loads(checked.rejected["record"].item())["message"]
    assert kept.split("\r") == [MSH, PID, OBR, BMD.replace("0.812", "8.12")]
    assert checked.batch.passed_over == 1


def test_an_order_of_a_dxa_says_that_one_was_done(tmp_path: Path) -> None:
    obr = "OBR|1||O1|38269-7^DXA^LN|||20240301||||||||||||||||||F"
    (row,) = accepted(read(tmp_path, message(obr=obr))).to_dict("records")
    assert (row["region"], row["dxa_date"].date()) == ("unspecified", date(2024, 3, 1))


@pytest.mark.parametrize(
    ("status", "reason"), [("S", "no_result_yet"), ("O", "no_result_yet"), ("X", "withdrawn"), ("Z", "withdrawn")]
)
def test_an_order_that_was_not_done_is_no_dxa(tmp_path: Path, status: str, reason: str) -> None:
    obr = f"OBR|1||O1|38269-7^DXA^LN|||20240301||||||||||||||||||{status}"
    checked = read(tmp_path, message(obr=obr))
    assert reasons(checked) == [reason]


def test_an_order_with_some_of_its_results_is_preliminary(tmp_path: Path) -> None:
    obr = "OBR|1||O1|38269-7^DXA^LN|||20240301||||||||||||||||||A"
    assert accepted(read(tmp_path, message(obr=obr)))["status"].to_list() == ["preliminary"]


def test_a_broken_message_is_refused_and_the_next_one_is_read(tmp_path: Path) -> None:
    checked = read(tmp_path, "MSH|\r" + message(BMD))
    assert reasons(checked) == ["malformed"]
    assert len(accepted(checked)) == 1


def test_messages_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    (checked,) = read(tmp_path, message().replace("ORU^R01", "ADT^A01"))
    assert (checked.read_count, checked.batch.passed_over) == (0, 1)


def test_several_patients_of_one_message_are_kept_apart(tmp_path: Path) -> None:
    other = "\r".join([PID.replace("A^^^HOSP", "B^^^HOSP"), OBR, BMD])
    rows = accepted(read(tmp_path, message(BMD, other)))
    assert rows["patient_id"].to_list() == ["A", "B"]


def test_an_identifier_is_read_without_its_escapes(tmp_path: Path) -> None:
    rows = accepted(read(tmp_path, message(BMD, pid="PID|1||A\\T\\1^^^HOSP")))
    assert rows["patient_id"].to_list() == ["A&1"]


def test_nobody_is_refused(tmp_path: Path) -> None:
    assert reasons(read(tmp_path, message(BMD, pid="PID|1"))) == ["no_patient"]


def test_a_file_without_message_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no HL7 message"):
        read(tmp_path, "PID|1\r")


def test_a_character_set_is_that_of_the_message(tmp_path: Path) -> None:
    file = tmp_path / "latin.hl7"
    file.write_bytes((MSH + "||||||8859/1\r" + PID.replace("JANE", "JÄNE")).encode("latin-1"))
    assert "JÄNE" in read_messages(file)[0]
    file.write_bytes((MSH + "\r" + PID.replace("JANE", "JÄNE")).encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8"):
        read_messages(file)
