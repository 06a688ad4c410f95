"""A pseudonymised database from a planted hospital: what is in it, and that nobody is."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from screening.errors import UserError
from screening.exchange import research
from screening.exchange.research import research_database
from screening.log import patient_key, research_key, site_key, study_key
from screening.store.database import DatabaseFolder, create_schema, write_rows

SHA = "c" * 64
SECRET = "SECRET^NAME"
# Patient -> sex, age, date of the CT. What must not be found again has a mark of its own.
PATIENTS = {
    "PAT-SECRET-1": ("F", 72.9, date(2025, 3, 17)),
    "PAT-SECRET-2": ("M", 93.4, date(2025, 4, 23)),
    "PAT-SECRET-3": ("F", None, date(2024, 11, 29)),
    "PAT-SECRET-OUT": ("F", 66.0, date(2025, 1, 2)),
}
# Of May, enough women for a figure; of the men, one too few without the one who has opted out.
WOMEN = {f"CROWD-{letter}": ("F", 70.0, date(2025, 5, 8)) for letter in "ABCDEFGHIJ"}
MEN = {f"CROWD-{letter}": ("M", 70.0, date(2025, 5, 8)) for letter in "KLMNOPQRS"}
CROWD = WOMEN | MEN | {"PAT-SECRET-OUT": ("M", 66.0, date(2025, 5, 8))}
Patients = Mapping[str, tuple[str, float | None, date]]
QUESTIONS = sorted((Path(research.__file__).parent / "research" / "questions").glob("*.sql"))


def uid(patient_id: str) -> str:
    return f"1.2.826.0.1.{sum(patient_id.encode())}.778899"


def study_row(patient_id: str, sex: str, age_years: float | None, study_date: date) -> dict[str, Any]:
    return {
        "study_instance_uid": uid(patient_id), "patient_id": patient_id, "study_key": uid(patient_id),
        "study_date": study_date, "age_years": age_years, "sex": sex, "birth_date": date(1931, 7, 19),
        "issuer_of_patient_id": "ISSUER-SECRET", "accession_number": f"ACC-{patient_id}",
        "study_description": f"CT {SECRET}", "institution_name": "St SECRET Hospital", "series_count": 1,
        "instance_count": 100, "fingerprint": "SECRET-fingerprint",
    }  # fmt: skip


def series_row(patient_id: str) -> dict[str, Any]:
    return {
        "study_instance_uid": uid(patient_id), "series_instance_uid": f"{uid(patient_id)}.1", "modality": "CT",
        "series_description": SECRET, "manufacturer": "SIEMENS SECRET", "manufacturer_model_name": SECRET,
        "station_name": "STATION-SECRET", "image_type": SECRET, "kvp_kv": 120.0, "convolution_kernel": SECRET,
        "kernel": "soft", "slice_thickness_mm": 2.5, "instance_count": 100, "chosen": True, "reason": None,
        "detail": SECRET, "level_detail": SECRET,
    }  # fmt: skip


def outcome_row(patient_id: str) -> dict[str, Any]:
    return {
        "study_instance_uid": uid(patient_id), "checkpoint_sha256": SHA, "sweep_id": 1, "status": "measured",
        "reason": None, "detail": SECRET, "stage": None, "reading_fingerprint": "SECRET-fingerprint",
        "read_seconds": 1.0, "read_at": datetime(2025, 5, 1),
    }  # fmt: skip


def study_bmd_row(patient_id: str) -> dict[str, Any]:
    return {
        "study_instance_uid": uid(patient_id), "checkpoint_sha256": SHA, "patient_id": patient_id, "bmd_cnn": 0.7,
        "bmd_low": 0.6, "bmd_high": 0.8, "level_count": 2, "levels": ["L1", "L2"], "attenuation_hu": 90.0,
        "reference": "hologic_l1_l4_female", "t_score": -3.1, "yam_percent": 67.0, "category": "osteoporosis",
        "osteoporosis_probability": 0.95, "band": "likely", "level_certainty": "certain", "contrast_enhanced": False,
        "warnings": [SECRET], "evidence_file": "SECRET.png",
    }  # fmt: skip


def vertebra_row(patient_id: str) -> dict[str, Any]:
    return {
        "study_instance_uid": uid(patient_id), "checkpoint_sha256": SHA, "series_instance_uid": f"{uid(patient_id)}.1",
        "level": "L1", "confidence": 0.9, "centre_x_mm": 0.0, "centre_y_mm": 0.0, "centre_z_mm": 0.0, "upper_z_mm": 1.0,
        "lower_z_mm": 0.0, "attenuation_hu": 90.0, "bmd_cnn": 0.7, "bmd_sd": 0.1, "used": True, "reason": None,
    }  # fmt: skip


def dxa_row(patient_id: str, dxa_date: date, manufacturer: str) -> dict[str, Any]:
    return {
        "patient_id": patient_id, "dxa_date": dxa_date, "region": "L1-L4", "bmd_dxa": 0.75, "t_score": -2.7,
        "manufacturer": manufacturer, "source_file": SECRET, "imported_at": datetime(2025, 5, 1),
    }  # fmt: skip


def planted_rows(patients: Patients) -> dict[str, list[dict[str, Any]]]:
    when = datetime(2025, 5, 1, 4, 5)
    return {
        "model": [{"checkpoint_sha256": SHA, "name": "cnn", "data_kind": "simulated", "metrics": "{}", "active": True,
                   "registered_at": when}],
        "publication": [{"publication_id": 1, "published_at": when, "as_of_date": date(2025, 5, 1),
                         "look_back_months": 36, "minimum_age_years": 50}],
        "sweep": [{"sweep_id": 1, "started_at": when, "state": "completed", "archives": [f"/archive/{SECRET}"],
                   "checkpoint_sha256": SHA, "software_version": "0.1.0", "library_versions": "{}",
                   "config": f'{{"a": "{SECRET}"}}'}],
        "patient": [{"patient_id": patient_id, "identified": True} for patient_id in patients],
        "study": [study_row(patient_id, *facts) for patient_id, facts in patients.items()],
        "series": [series_row(patient_id) for patient_id in patients],
        "outcome": [outcome_row(patient_id) for patient_id in patients],
        "study_bmd": [study_bmd_row(patient_id) for patient_id in patients],
        "vertebra": [vertebra_row(patient_id) for patient_id in patients],
        "dxa": [dxa_row("PAT-SECRET-1", date(2025, 4, 9), "Hologic"),
                dxa_row("PAT-SECRET-2", date(2019, 2, 11), f"Maker {SECRET}"),
                dxa_row("PAT-SECRET-NO-CT", date(2019, 2, 11), ""),
                dxa_row("PAT-SECRET-OUT", date(2019, 2, 11), "GE")],
        "patient_context": [{"patient_id": "PAT-SECRET-OUT", "fact": "opt_out", "holds": True,
                             "recorded_on": date(2025, 1, 1), "source_file": SECRET, "imported_at": when}],
        "review_event": [{"event_id": 1, "patient_id": "PAT-SECRET-2", "study_instance_uid": uid("PAT-SECRET-2"),
                          "action": "order_dxa", "defer_until": None, "comment": SECRET, "reviewer": f"dr {SECRET}",
                          "made_at": when}],
        "flag_event": [{"patient_id": patient_id, "study_instance_uid": uid(patient_id),
                        "flagged_on": date(2025, 4, 2), "publication_id": 1} for patient_id in patients],
        "rejected_record": [{"record_digest": "SECRET-digest", "source_file": SECRET, "reason": "bad_date",
                             "record": f'{{"name": "{SECRET}"}}', "patient_id": "PAT-SECRET-1", "rejected_at": when}],
        "drift_metric": [{"month": date(2025, 3, 1), "n": n, "value": 1.0, "state": "stable", "metric": metric,
                          "scanner": f"SIEMENS SECRET / {SECRET} / STATION-SECRET / St SECRET Hospital"}
                         for metric, n in (("air_hu", 10), ("fat_hu", 9))],
        "validation_run": [{"run_id": 1, "validated_at": when, "software_version": "0.1.0", "checkpoint_sha256": SHA,
                            "data_kind": "simulated", "window_days": 180, "settings": f'{{"a": "{SECRET}"}}',
                            "measured_count": 4, "pair_count": 2, "bmd_count": 2, "label_count": 2,
                            "osteoporosis_count": 2, "seen_count": 0, "left_out": "{}"}],
        "validation_metric": [{"run_id": 1, "reader": "bmd_cnn", "dimension": dimension, "subgroup": subgroup,
                               "metric": "auc", "value": 0.9, "n": n, "note": ""}
                              for dimension, subgroup, n in (("overall", "all", 30), ("scanner", SECRET, 30),
                                                             ("kernel", SECRET, 30), ("dxa_manufacturer", SECRET, 30),
                                                             ("dxa_manufacturer", "Hologic", 10), ("sex", "M", 9))],
    }  # fmt: skip


def publish(place: DatabaseFolder, number: int, patients: Patients = PATIENTS) -> None:
    place.create()
    finished = place.publications / f"screening-{number:06}.duckdb"
    with duckdb.connect(finished) as connection:
        create_schema(connection)
        for table, rows in planted_rows(patients).items():
            write_rows(connection, table, rows)
    place.published.unlink(missing_ok=True)
    place.published.symlink_to(finished.relative_to(place.folder))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> DatabaseFolder:
    planted = DatabaseFolder(tmp_path_factory.mktemp("planted"))
    publish(planted, 1)
    return planted


@pytest.fixture
def made(place: DatabaseFolder) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(research_database(place), read_only=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def of_crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    planted = DatabaseFolder(tmp_path_factory.mktemp("crowd"))
    publish(planted, 1, CROWD)
    with duckdb.connect(research_database(planted), read_only=True) as connection:
        yield connection


def identifiers() -> list[str]:
    """All that names somebody or something of the planted hospital, and its exact dates."""
    days = [str(study_date) for _, _, study_date in PATIENTS.values()]
    return ["SECRET", "778899", "1.2.826", "1931-07-19", "2025-04-09", "2019-02-11", *days]


def test_no_identifier_stands_in_any_column(made: duckdb.DuckDBPyConnection) -> None:
    tables = [name for (name,) in made.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
    texts = [repr(made.table(name).fetchall()) + repr(made.table(name).columns) for name in tables]
    assert len(tables) == 21
    assert [
        (name, word) for name, text in zip(tables, texts, strict=True) for word in identifiers() if word in text
    ] == []
    assert [
        (name, day) for name, text in zip(tables, texts, strict=True) for day in ("17)", "23)", "29)") if day in text
    ] == []


def test_no_identifier_stands_in_the_bytes_of_the_file(place: DatabaseFolder) -> None:
    content = research_database(place).read_bytes()
    assert [word for word in ("SECRET", "778899", "1.2.826") if word.encode() in content] == []


def test_a_second_look_would_find_them(place: DatabaseFolder) -> None:
    """The sweep for identifiers sees what is planted."""
    assert b"SECRET" in place.published.read_bytes()


def test_patients_and_studies_go_by_keys_of_their_own(made: duckdb.DuckDBPyConnection, place: DatabaseFolder) -> None:
    key = site_key(place.key)
    expected = {
        (research_key("patient", patient_id, key), research_key("study", uid(patient_id), key))
        for patient_id in PATIENTS
        if patient_id != "PAT-SECRET-OUT"
    }
    assert set(made.execute("SELECT patient_key, study_key FROM study").fetchall()) == expected
    assert set(made.execute("SELECT patient_key, study_key FROM study_bmd").fetchall()) == expected


@pytest.mark.parametrize("name", ["PAT-SECRET-1", "", "Ä 7"])
def test_keys_are_found_neither_in_logs_nor_in_addresses(name: str) -> None:
    key = b"k" * 32
    elsewhere = {study_key(name, key), patient_key(name, key)}
    ours = {research_key("study", name, key), research_key("patient", name, key)}
    assert len(ours) == 2
    assert ours.isdisjoint(elsewhere)
    assert research_key("study", name, b"l" * 32) not in ours


def test_no_row_of_a_study_tells_the_sweep_or_a_day(made: duckdb.DuckDBPyConnection) -> None:
    of_sweep = "SELECT DISTINCT table_name FROM duckdb_columns() WHERE column_name = 'sweep_id'"
    of_days = "SELECT table_name FROM duckdb_columns() WHERE column_name SIMILAR TO 'days_.*' AND NOT internal"
    assert made.execute(of_sweep).fetchall() == [("sweep_summary",)]
    assert made.execute(of_days).fetchall() == []
    assert made.execute("SELECT started_month, ended_month FROM sweep_summary").fetchall() == [(date(2025, 5, 1), None)]


def test_of_dates_the_month_is_kept_and_of_ages_from_90_on_one_group(made: duckdb.DuckDBPyConnection) -> None:
    assert made.execute("SELECT study_month, age_years FROM study ORDER BY ALL").fetchall() == [
        (date(2024, 11, 1), None),
        (date(2025, 3, 1), 72),
        (date(2025, 4, 1), 90),
    ]


@pytest.mark.parametrize(
    ("age_years", "group"), [(None, None), (0.0, 0), (88.99, 88), (89.0, 89), (89.99, 89), (90.0, 90), (104.2, 90)]
)
def test_ages_are_grouped(age_years: float | None, group: int | None) -> None:
    keys = research._sql("keys")
    macro = keys[keys.index("CREATE TEMP MACRO grouped_age") : keys.index("CREATE TEMP TABLE opted_out")]
    with duckdb.connect() as connection:
        connection.execute(macro)
        assert connection.execute("SELECT grouped_age(?::DOUBLE)", [age_years]).fetchone() == (group,)


@pytest.mark.parametrize(
    "table",
    ["patient", "study", "study_bmd", "vertebra", "dxa", "care_gap", "flag_event", "review_event", "ct_dxa_pair"],
)
def test_who_has_opted_out_is_in_no_table(made: duckdb.DuckDBPyConnection, place: DatabaseFolder, table: str) -> None:
    key = site_key(place.key)
    text = repr(made.table(table).fetchall())
    assert research_key("patient", "PAT-SECRET-OUT", key) not in text
    assert research_key("study", uid("PAT-SECRET-OUT"), key) not in text


def test_between_ct_and_dxa_weeks_are_kept(made: duckdb.DuckDBPyConnection) -> None:
    """23 days after the CT, 2263 days before it: 3 weeks and 2 days, 324 weeks less 5 days."""
    rows = made.execute(
        "SELECT dxa_month, weeks_after_ct, manufacturer FROM dxa ORDER BY dxa_month DESC, manufacturer DESC"
    )
    assert rows.fetchall() == [
        (date(2025, 4, 1), 3, "Hologic"),
        (date(2019, 2, 1), -324, "other"),
        (date(2019, 2, 1), None, ""),
    ]


@pytest.mark.parametrize(
    ("days", "weeks"), [(-8, -2), (-7, -1), (-1, -1), (0, 0), (6, 0), (7, 1), (180, 25), (None, None)]
)
def test_weeks_are_rounded_down(days: int | None, weeks: int | None) -> None:
    keys = research._sql("keys")
    macro = keys[keys.index("CREATE TEMP MACRO whole_weeks") : keys.index("-- Holders")]
    with duckdb.connect() as connection:
        connection.execute(macro)
        assert connection.execute("SELECT whole_weeks(?::BIGINT)", [days]).fetchone() == (weeks,)


def test_months_of_fewer_than_ten_are_left_out(made: duckdb.DuckDBPyConnection) -> None:
    assert made.execute("SELECT * FROM care_gap_month").fetchall() == []
    assert made.execute("SELECT * FROM scanner_month").fetchall() == []


def test_months_of_ten_and_more_are_counted_without_who_has_opted_out(of_crowd: duckdb.DuckDBPyConnection) -> None:
    of_sexes = "SELECT sex, measured_count, flagged_count FROM care_gap_month"
    of_scanner = "SELECT month, study_count, likely_count, l1_hu, l1_hu_count, air_hu, air_hu_count FROM scanner_month"
    assert of_crowd.execute(of_sexes).fetchall() == [("F", 10, 10)]
    assert of_crowd.execute(of_scanner).fetchall() == [(date(2025, 5, 1), 19, 19, 90.0, 19, None, 0)]


def test_the_flow_of_studies_is_without_who_has_opted_out(of_crowd: duckdb.DuckDBPyConnection) -> None:
    flow = "SELECT stage, study_count FROM exclusion_flow WHERE stage IN ('found', 'measured') AND reason IS NULL"
    assert of_crowd.execute(flow).fetchall() == [("found", 19), ("measured", 19)]


def test_a_dxa_before_the_flag_is_none_within_12_weeks(tmp_path: Path) -> None:
    """Flagged on 2 April: a DXA the day before the flag and on it, on the flag alone, and 85 days after it."""
    place = DatabaseFolder(tmp_path)
    publish(place, 1, dict.fromkeys(["P-BOTH", "P-ON", "P-LATE"], ("F", 70.0, date(2025, 3, 17))))
    with duckdb.connect(place.published.resolve()) as connection:
        followed = {"P-BOTH": [date(2025, 4, 1), date(2025, 4, 2)], "P-ON": [date(2025, 4, 2)],
                    "P-LATE": [date(2025, 6, 26)]}  # fmt: skip
        write_rows(connection, "dxa", [dxa_row(one, day, "GE") for one, days in followed.items() for day in days])
    key = site_key(place.key)
    with duckdb.connect(research_database(place), read_only=True) as made:
        found = made.execute("SELECT patient_key, had_dxa_already, dxa_within_12_weeks FROM flag_event").fetchall()
    assert {row[0]: row[1:] for row in found} == {
        research_key("patient", "P-BOTH", key): (True, False),
        research_key("patient", "P-ON", key): (False, True),
        research_key("patient", "P-LATE", key): (False, False),
    }


def test_scanners_and_sites_are_numbers(made: duckdb.DuckDBPyConnection) -> None:
    assert made.execute("SELECT DISTINCT scanner, site FROM study").fetchall() == [(1, 1)]
    assert made.execute("SELECT * FROM scanner").fetchall() == [(1, "Siemens", 3)]
    assert made.execute("SELECT scanner, metric FROM drift_metric").fetchall() == [(1, "air_hu")]
    assert made.execute("SELECT dimension, subgroup FROM validation_metric ORDER BY ALL").fetchall() == [
        ("dxa_manufacturer", "Hologic"),
        ("overall", "all"),
    ]


def test_decisions_are_kept_without_who_made_them(made: duckdb.DuckDBPyConnection) -> None:
    assert made.execute("SELECT number, action, made_month, newest FROM review_event").fetchall() == [
        (1, "order_dxa", date(2025, 5, 1), True)
    ]
    assert made.execute("SELECT count(*) FILTER (flagged), count(*) FROM care_gap").fetchone() == (0, 3)


def test_every_table_and_column_has_a_comment_and_every_table_a_key(made: duckdb.DuckDBPyConnection) -> None:
    of_tables = "SELECT table_name FROM duckdb_tables() WHERE comment IS NULL OR NOT has_primary_key"
    of_columns = "SELECT relation, column_name FROM data_dictionary WHERE comment IS NULL"
    assert made.execute(of_tables).fetchall() == []
    assert made.execute(of_columns).fetchall() == []


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda path: path.stem)
def test_the_questions_of_the_store_can_be_asked(made: duckdb.DuckDBPyConnection, question: Path) -> None:
    text = question.read_text(encoding="utf-8")
    made.execute(text).fetchall()
    assert text.startswith("-- ")
    assert text.splitlines()[0].endswith("?")


def test_there_is_one_question_for_each_of_the_store() -> None:
    store = Path(research.__file__).parents[1] / "store" / "questions"
    assert [question.name for question in QUESTIONS] == sorted(path.name for path in store.glob("*.sql"))


def test_it_is_made_once_a_publication_and_closed_to_others(tmp_path: Path) -> None:
    place = DatabaseFolder(tmp_path)
    publish(place, 1)
    first = research_database(place)
    written = first.stat().st_mtime_ns
    assert research_database(place) == first
    assert first.stat().st_mtime_ns == written
    assert first.stat().st_mode & 0o777 == 0o600
    assert first.parent == place.working.parent


def test_a_new_publication_replaces_it(tmp_path: Path) -> None:
    place = DatabaseFolder(tmp_path)
    publish(place, 1)
    first = research_database(place)
    publish(place, 2)
    second = research_database(place)
    assert second != first
    assert [path.name for path in second.parent.glob("research-*")] == [second.name]


def test_two_who_ask_at_once_make_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = DatabaseFolder(tmp_path)
    publish(place, 1)
    makings: list[Path] = []
    make = research._make

    def counted(published: Path, made: Path, key: bytes) -> None:
        makings.append(made)
        make(published, made, key)

    monkeypatch.setattr(research, "_make", counted)
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(research_database, [place, place]))
    assert paths[0] == paths[1]
    assert len(makings) == 1


def test_without_a_publication_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="screening sweep"):
        research_database(DatabaseFolder(tmp_path))


def test_a_damaged_publication_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    place = DatabaseFolder(tmp_path)
    place.create()
    (place.publications / "screening-000001.duckdb").write_bytes(b"no database" * 1000)
    place.published.symlink_to("publications/screening-000001.duckdb")
    with pytest.raises(UserError, match="cannot be read"):
        research_database(place)
    assert [path.name for path in place.working.parent.glob("research-*")] == []
