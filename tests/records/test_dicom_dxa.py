from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedSRStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from screening.records.checking import Checked
from screening.records.dicom import dxa_batch
from screening.records.dxa import check_dxa
from screening.records.identities import Identities
from screening.records.settings import RecordSettings

SETTINGS = RecordSettings()
XML = """<?xml version="1.0"?><PATIENT><SCAN type="AP Spine"><ROI region="L1-L4"><BMD units="g/cm²">0.812</BMD>
<BMD_TSCORE>-2.6</BMD_TSCORE><BMD_ZSCORE>-1.0</BMD_ZSCORE><TREND><BMD units="g/cm²">0.9</BMD></TREND></ROI>
<ROI region="L5"><BMD units="g/cm²">0.9</BMD></ROI></SCAN>
<SCAN type="Left Femur"><ROI region="Neck"><BMD units="mg/cm3">0.7</BMD></ROI></SCAN></PATIENT>"""


def concept(meaning: str) -> list[Dataset]:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99X", meaning
    return [code]


def container(meaning: str, *children: Dataset) -> Dataset:
    item = Dataset()
    item.ValueType, item.ConceptNameCodeSequence, item.ContentSequence = "CONTAINER", concept(meaning), list(children)
    return item


def number(meaning: str, value: str, unit: str) -> Dataset:
    measured, units, item = Dataset(), Dataset(), Dataset()
    units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = unit, "UCUM", unit
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = value, [units]
    item.ValueType, item.ConceptNameCodeSequence, item.MeasuredValueSequence = "NUM", concept(meaning), [measured]
    return item


def written(path: Path, **entries: object) -> Path:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientID, dataset.StudyDate, dataset.Manufacturer = "A", "20240301", "GE Healthcare"
    dataset.ContentDate, dataset.ContentTime = "20240302", "081500"
    for keyword, value in entries.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def checked(path: Path) -> Checked:
    return check_dxa(dxa_batch(path), SETTINGS, Identities.load(SETTINGS), date(2025, 6, 30))


def test_a_report_is_read_by_the_meaning_of_its_names(tmp_path: Path) -> None:
    tree = [
        container(
            "AP Spine",
            container("L1-L4", number("BMD", "0.812", "g/cm2"), number("BMD_TSCORE", "-2.6", "1")),
            container("Trend", container("L1-L4", number("BMD", "0.9", "g/cm2"))),
        ),
        container("Left Femur", container("Neck", number("T-Score", "-2.1", "{T-score}"))),
    ]
    rows = checked(written(tmp_path / "sr", SOPClassUID=EnhancedSRStorage, ContentSequence=tree)).accepted
    assert rows["region"].to_list() == ["L1-L4", "L1-L4", "femoral_neck_left"]
    assert rows["bmd_dxa"].dropna().to_list() == [0.812]
    assert rows["t_score"].dropna().to_list() == [-2.6, -2.1]
    assert set(rows["manufacturer"]) == {"GE"}
    assert set(rows["issued_at"]) == {pd.Timestamp("2024-03-02 08:15")}


def test_the_xml_of_a_picture_is_read(tmp_path: Path) -> None:
    result = checked(written(tmp_path / "sc", ImageComments=XML))
    rows = result.accepted
    assert set(rows["region"]) == {"L1-L4"}
    assert rows[["bmd_dxa", "t_score", "z_score"]].max().to_list() == [0.812, -2.6, -1.0]
    assert result.rejected["reason"].to_list() == ["not_for_diagnosis", "volumetric"]
    assert result.rejected["place"].to_list()[1] == "Left Femur/Neck/BMD"


@pytest.mark.parametrize("text", ["<SCAN", '<!DOCTYPE a [<!ENTITY b "c">]><SCAN type="&b;"/>'])
def test_broken_or_expanding_xml_is_refused(tmp_path: Path, text: str) -> None:
    assert checked(written(tmp_path / "sc", ImageComments=text)).rejected["reason"].to_list() == ["malformed"]


def test_other_objects_are_passed_over(tmp_path: Path) -> None:
    assert dxa_batch(written(tmp_path / "sc", ImageComments="no finding")).passed_over == 1


def test_a_file_that_is_no_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no DICOM")
    assert checked(tmp_path / "text").rejected["reason"].to_list() == ["malformed"]
