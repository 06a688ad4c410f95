"""The pages in every state, run by Streamlit's own test harness on a published database."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import published_example as example
import pytest
from page_runs import APP, assert_labelled, run_patient, run_worklist, written
from streamlit.testing.v1 import AppTest

from dashboard import access, queries, workbook
from screening.labels import SIMULATED_NOTICE
from screening.store.database import DatabaseFolder


@pytest.mark.parametrize("page", [run_worklist, run_patient])
def test_missing_database_is_one_sentence(folder: Path, page: object) -> None:
    at = page()  # type: ignore[operator]

    assert_labelled(at)
    assert "screening sweep" in at.error[0].value
    assert len(at.title) == 0


@pytest.mark.parametrize("page", [run_worklist, run_patient])
def test_damaged_database_is_one_sentence(folder: Path, page: object) -> None:
    DatabaseFolder(folder).published.write_bytes(b"damaged" * 3000)
    at = page()  # type: ignore[operator]

    assert_labelled(at)
    assert "cannot be read" in at.error[0].value


def test_database_without_studies_says_how_to_fill_it(folder: Path) -> None:
    example.publish_rows(folder, 1, {})
    at = run_worklist()

    assert_labelled(at)
    assert "screening sweep" in at.info[0].value


def test_worklist_without_flagged_patients_does_not_call_them_normal(folder: Path) -> None:
    example.publish_example(folder, (example.HIGH,))
    at = run_worklist()

    assert_labelled(at)
    assert "Not flagged does not mean normal" in at.info[0].value
    assert len(at.dataframe) == 0


def test_worklist_shows_the_flagged_in_order(published: queries.Publication) -> None:
    at = run_worklist()

    assert_labelled(at)
    assert SIMULATED_NOTICE in written(at)
    assert list(at.dataframe[0].value["patient_id"]) == ["FLAGGED-1", "FLAGGED-2"]
    assert [metric.value for metric in at.metric] == ["2", "6", "2", "2026-03-01"]


def test_worklist_is_narrowed_by_what_is_typed(published: queries.Publication) -> None:
    at = run_worklist()
    at.text_input[0].input("-2").run()

    assert list(at.dataframe[0].value["patient_id"]) == ["FLAGGED-2"]


def test_worklist_is_taken_along_as_a_workbook(
    published: queries.Publication, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers: dict[int, Callable[[], bytes]] = {}
    monkeypatch.setattr(access, "traced", lambda make, *_, **__: makers.setdefault(len(makers), make))
    at = run_worklist()
    lying = sorted(DatabaseFolder(folder).working.parent.iterdir())
    read = ZipFile(BytesIO(makers[1]())).read("xl/worksheets/sheet1.xml").decode()

    assert [button.disabled for button in at.download_button] == [False, False]
    assert ("FLAGGED-1" in read, "FLAGGED-2" in read) == (True, True)
    assert sorted(DatabaseFolder(folder).working.parent.iterdir()) == lying


def test_worklist_that_is_too_long_for_a_workbook_is_offered_as_csv(
    published: queries.Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 1)
    at = run_worklist()

    assert_labelled(at)
    assert [button.disabled for button in at.download_button] == [False, True]
    assert "An Excel workbook has 1 rows at most: take CSV." in written(at)


def test_worklist_that_is_narrowed_to_nothing_does_not_call_it_normal(published: queries.Publication) -> None:
    at = run_worklist()
    at.text_input[0].input("HIGH").run()

    assert_labelled(at)
    assert "Not flagged does not mean normal" in at.info[0].value


def test_address_with_a_patient_opens_the_patient(published: queries.Publication) -> None:
    at = AppTest.from_file(APP, default_timeout=30)
    at.query_params["patient"] = "FLAGGED-2"
    at.run()

    assert at.title[0].value == "Patient FLAGGED\\-2"


def test_flagged_patient_shows_numbers_reasons_and_provenance(published: queries.Publication) -> None:
    at = run_patient(patient="FLAGGED-1")
    text = written(at)

    assert_labelled(at)
    assert SIMULATED_NOTICE in text
    assert "BMD_CNN (g/cm²) 0.695 90 % interval 0.585 – 0.805" in text
    assert "T-score −3.20 T ≤ −2.5 (osteoporosis band)" in text
    assert "Why flagged" in text
    assert text.count(":blue-badge[met]") == 6
    assert "No DXA on record" in text
    assert "region of interest differ" in text
    assert example.CHECKPOINT in at.dataframe[-1].value.to_string(max_colwidth=200)


def test_levels_say_which_are_used_and_why_not(published: queries.Publication) -> None:
    levels = run_patient(patient="FLAGGED-1").dataframe[0].value

    assert list(levels["use"]) == [
        "no: not L1 to L4", "yes", "no: outlier (over 1.0 T)", "yes", "yes", "no: not L1 to L4",
    ]  # fmt: skip


def test_patient_with_a_recent_dxa_says_why_not_flagged(published: queries.Publication) -> None:
    at = run_patient(patient="RECENT-DXA")
    text = written(at)

    assert_labelled(at)
    assert ":gray-badge[Not flagged]" in text
    assert ":orange-badge[not met] No central DXA in the 36 months before 2026-03-01" in text
    assert list(at.dataframe[1].value["region"]) == ["L1-L4", "femoral neck"]


@pytest.mark.parametrize("patient_id", ["HIGH", "INDETERMINATE", "YOUNG"])
def test_unflagged_patient_is_never_called_normal(published: queries.Publication, patient_id: str) -> None:
    at = run_patient(patient=patient_id)
    unlabelled = written(at).lower().replace("not flagged does not mean normal", "")

    assert_labelled(at)
    assert "not flagged]" in unlabelled
    assert "normal" not in unlabelled


def test_patient_under_50_gets_no_t_score(published: queries.Publication) -> None:
    text = written(run_patient(patient="YOUNG"))

    assert "Z-score —" in text
    assert "T-score −" not in text
    assert "−1.20" not in text


@pytest.mark.parametrize(("patient_id", "reason"), [("EXCLUDED", "Contrast-enhanced"), ("FAILED", "ValueError")])
def test_patient_without_result_shows_the_reason(published: queries.Publication, patient_id: str, reason: str) -> None:
    at = run_patient(patient=patient_id)

    assert_labelled(at)
    assert "No study of this patient has a BMD_CNN" in at.info[0].value
    assert list(at.dataframe[0].value["reason"]) == [reason]


def test_unknown_patient_is_told(published: queries.Publication) -> None:
    at = run_patient(patient="NOBODY")

    assert_labelled(at)
    assert "No patient of the archive has this ID" in at.warning[0].value


def test_study_without_result_is_not_silently_replaced(published: queries.Publication) -> None:
    at = run_patient(patient="FLAGGED-1", study="2.25.903")

    assert "shown is the newest measured one" in at.warning[0].value


def test_missing_picture_is_told(folder: Path, published: queries.Publication) -> None:
    DatabaseFolder(folder).evidence.joinpath(f"{example.SECOND.study_instance_uid}.png").unlink()

    assert "evidence picture is not" in run_patient(patient="FLAGGED-2").warning[0].value


def test_search_finds_a_patient_who_is_not_flagged(published: queries.Publication) -> None:
    at = run_patient()
    at.text_input[0].input("high").run()

    assert at.title[0].value == "Patient HIGH"


def test_search_with_several_matches_offers_them_with_their_standing(published: queries.Publication) -> None:
    at = run_patient()
    at.text_input[0].input("e").run()
    at.selectbox[0].select("EXCLUDED").run()

    assert at.selectbox[0].label == "6 patients match"
    assert "RECENT-DXA (not flagged)" in at.selectbox[0].options
    assert at.title[0].value == "Patient EXCLUDED"


def test_search_wins_over_the_patient_of_the_address(published: queries.Publication) -> None:
    at = run_patient(patient="FLAGGED-1")
    at.text_input[0].input("HIGH").run()

    assert at.title[0].value == "Patient HIGH"


def test_search_without_match_is_told(published: queries.Publication) -> None:
    at = run_patient()
    at.text_input[0].input("nobody").run()

    assert "No patient of the archive matches" in at.warning[0].value


def series_columns(at: AppTest) -> set[str]:
    (table,) = [table.value for table in at.dataframe if "chosen" in table.value]
    return set(table.columns)


def test_acquisitions_are_told_apart_where_a_series_holds_several(folder: Path) -> None:
    patient = example.SECOND
    rows = example.example_rows((patient,))
    example.publish_rows(folder, 1, rows)
    whole = run_patient(patient=patient.patient_id)
    parts = [
        row | {"acquisition": name, "chosen": chosen, "reason": None if chosen else "contrast"}
        for row in rows["series"]
        if row["chosen"]
        for name, chosen in (("AcquisitionNumber 2", True), ("AcquisitionNumber 3", False))
    ]
    example.publish_rows(folder, 2, rows | {"series": parts})
    split = run_patient(patient=patient.patient_id)

    assert "acquisition" not in series_columns(whole)
    assert "acquisition" in series_columns(split)
    (provenance,) = [table.value for table in split.dataframe if "fact" in table.value]
    assert "Abdomen native, AcquisitionNumber 2" in provenance.set_index("fact").loc["Series", "value"]
