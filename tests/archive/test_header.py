import os
import random
import warnings
from datetime import date
from pathlib import Path

import pydicom
import pytest
from archive.odd_bytes import Items, Plan, written
from dicom_files import ct_slice, found, write
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, MediaStorageDirectoryStorage

from screening.archive.header import FileProblem, FoundFile, NotIndexed, displayable, read_header
from screening.archive.header_fields import CHARACTER_SET_TAG

ZOO = Path(__file__).parents[2].parent / "shared" / "data" / "zoo"


def problem_of(path: Path) -> FileProblem:
    with pytest.raises(NotIndexed) as refused:
        read_header(found(path))
    return refused.value.problem


def test_facts_of_a_plain_slice(tmp_path: Path) -> None:
    instance = read_header(found(write(tmp_path, "IM0001", ct_slice(3))))

    assert (instance.modality, instance.patient_id, instance.patient_sex) == ("CT", "SECRET-ID", "F")
    assert (instance.patient_age_years, instance.study_date) == (70.0, date(2024, 1, 15))
    assert instance.image_position_patient == (0.0, 0.0, 15.0)
    assert (instance.rows, instance.columns, instance.kvp_kv) == (16, 16, 120.0)
    assert instance.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert instance.contrast_bolus_agent is None


@pytest.mark.parametrize(
    ("elements", "field", "value"),
    [
        ({"PatientAge": "018M"}, "patient_age_years", 1.5),
        ({"PatientAge": "000Y"}, "patient_age_years", None),
        ({"PatientAge": "old"}, "patient_age_years", None),
        ({"PatientBirthDate": "19541301"}, "patient_birth_date", None),
        ({"StudyDate": "2024.01.15"}, "study_date", date(2024, 1, 15)),
        ({"ContrastBolusAgent": ""}, "contrast_bolus_agent", ""),
        ({"ContrastBolusAgent": "IV"}, "contrast_bolus_agent", "IV"),
        ({"PixelSpacing": None}, "pixel_spacing_mm", None),
        ({"PatientSex": "female"}, "patient_sex", "F"),
        ({"PatientSex": ""}, "patient_sex", ""),
        ({"PatientID": None}, "patient_id", ""),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_values(tmp_path: Path, elements: dict[str, object], field: str, value: object) -> None:
    instance = read_header(found(write(tmp_path, "odd", ct_slice(**elements))))
    assert getattr(instance, field) == value


@pytest.mark.parametrize("text", ["1,5", "abc", "1e999", "nan"])
def test_a_number_that_is_none_is_missing(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "number", ct_slice(SliceThickness="7.5000"))
    path.write_bytes(path.read_bytes().replace(b"7.5000", text.encode().ljust(6)))
    assert read_header(found(path)).slice_thickness_mm is None


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_encodings_give_the_same_facts(tmp_path: Path, syntax: str) -> None:
    plain = read_header(found(write(tmp_path, "plain", ct_slice())))
    dataset = ct_slice()
    dataset.PixelData = None
    dataset.file_meta.TransferSyntaxUID = syntax
    other = read_header(found(write(tmp_path, "other", dataset)))

    assert (other.rows, other.image_position_patient) == (plain.rows, plain.image_position_patient)
    assert other.transfer_syntax_uid == syntax


def test_a_file_without_preamble_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bare"
    dataset = ct_slice()
    del dataset.file_meta
    pydicom.dcmwrite(path, dataset, implicit_vr=True, little_endian=True)
    assert read_header(found(path)).modality == "CT"


def test_text_is_decoded_by_its_character_set(tmp_path: Path) -> None:
    dataset = ct_slice(SpecificCharacterSet="ISO_IR 192", StudyDescription="Abdomen für Übersicht")
    assert read_header(found(write(tmp_path, "utf8", dataset))).study_description == "Abdomen für Übersicht"


def test_files_that_are_no_instance_say_why(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "notes.txt").write_text("no DICOM " * 40)
    (tmp_path / "cut").write_bytes(write(tmp_path, "whole", ct_slice()).read_bytes()[:300])
    os.mkfifo(tmp_path / "pipe")

    assert problem_of(tmp_path / "empty") is FileProblem.EMPTY
    assert problem_of(tmp_path / "notes.txt") is FileProblem.NOT_DICOM
    assert problem_of(tmp_path / "cut") is FileProblem.MISSING_UID
    assert problem_of(tmp_path / "pipe") is FileProblem.NOT_A_FILE
    with pytest.raises(NotIndexed) as refused:
        read_header(FoundFile(tmp_path, 0, 0, unreachable=True))
    assert refused.value.problem is FileProblem.NOT_REACHABLE


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("value", [None, ""])
def test_an_instance_without_uid_cannot_be_placed(tmp_path: Path, keyword: str, value: str | None) -> None:
    dataset = ct_slice()
    path = write(tmp_path, "whole", dataset)
    reread = pydicom.dcmread(path)
    if value is None:
        delattr(reread, keyword)
    else:
        setattr(reread, keyword, value)
    reread.save_as(tmp_path / "nameless")
    assert problem_of(tmp_path / "nameless") is FileProblem.MISSING_UID


def test_a_dicomdir_is_no_instance(tmp_path: Path) -> None:
    dataset = ct_slice(SOPClassUID=MediaStorageDirectoryStorage)
    assert problem_of(write(tmp_path, "DICOMDIR", dataset)) is FileProblem.DICOMDIR


@pytest.mark.parametrize("length", range(133, 500, 7))
def test_a_header_that_breaks_off_is_a_counted_problem(tmp_path: Path, length: int) -> None:
    path = tmp_path / "broken"
    path.write_bytes(write(tmp_path, "whole", ct_slice()).read_bytes()[:length])
    assert problem_of(path) in (FileProblem.BROKEN_HEADER, FileProblem.MISSING_UID)


@pytest.mark.skipif(not ZOO.exists(), reason="needs ../shared/data/zoo")
def test_every_file_of_the_zoo_is_an_instance_or_a_problem() -> None:
    outcomes = [outcome(path) for path in sorted(ZOO.rglob("*")) if path.is_file()]

    assert len(outcomes) == 141
    assert outcomes.count("instance") > 100


def outcome(path: Path) -> str:
    try:
        read_header(found(path))
    except NotIndexed as refused:
        return str(refused.problem)
    return "instance"


def test_odd_values_are_never_quoted(tmp_path: Path) -> None:
    path = write(tmp_path, "secret", ct_slice(StudyDate="20240115"))
    path.write_bytes(path.read_bytes().replace(b"20240115", b"SECRET!!"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_header(found(path))
    assert caught == []


@pytest.mark.parametrize(
    ("representation", "value"),
    [("UN", [[(0x00080100, "SH", b"NESTED")]]), ("US", b"\1\0"), ("CS", b"\0BAD"), ("ZZ", b"ISO_IR 100")],
)
def test_a_character_set_that_is_none_is_a_broken_header(
    tmp_path: Path, representation: str, value: bytes | list[Items]
) -> None:
    path = tmp_path / "odd"
    path.write_bytes(written([(int(CHARACTER_SET_TAG), representation, value)], Plan(), random.Random(1)))
    assert problem_of(path) is FileProblem.BROKEN_HEADER


def test_a_bug_of_ours_is_not_called_a_broken_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = found(write(tmp_path, "slice", ct_slice()))
    monkeypatch.setattr("screening.archive.header.converted", lambda raw: raw.no_such_field)
    with pytest.raises(AttributeError):
        read_header(file)


def test_a_name_that_is_no_text_can_be_shown(tmp_path: Path) -> None:
    assert displayable(Path("caf\udce9")) == "caf\\xe9"
