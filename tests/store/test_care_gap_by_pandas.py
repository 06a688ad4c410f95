"""The list of a synthetic hospital, patient by patient, against the same definition written in pandas."""

from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from care_gap_rows import publish_on

from screening.store.database import create_schema

SCRIPTS = Path(__file__).parents[1] / "scale"
AS_OF = pd.Timestamp(2025, 12, 1)
GIVEN = {"patients": 3000, "checkpoint": "a" * 64}
FACTS = {
    "alive": "death",
    "no_known_osteoporosis": "diagnosis",
    "not_treated": "treatment",
    "not_opted_out": "opt_out",
}


@pytest.fixture(scope="module")
def hospital() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    create_schema(connection)
    for script in ("million_hospital", "million_records"):
        for statement in connection.extract_statements((SCRIPTS / f"{script}.sql").read_text(encoding="utf-8")):
            wanted = {name: GIVEN[name] for name in statement.named_parameters}
            connection.execute(statement, wanted or None)
    connection.execute("UPDATE study SET age_years = NULL WHERE hash(study_instance_uid) % 50 = 0")
    connection.execute("UPDATE study SET study_date = NULL WHERE hash(study_instance_uid, 1) % 50 = 0")
    connection.execute("UPDATE study SET sex = 'M' WHERE hash(study_instance_uid, 2) % 50 = 0")
    publish_on(connection, date(2025, 12, 1))
    return connection


def newest_results(hospital: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    results = hospital.table("study_bmd").df().merge(hospital.table("study").df(), on=["study_instance_uid"])
    results = results.rename(columns={"patient_id_x": "patient_id"}).sort_values("study_instance_uid")
    results = results.sort_values("study_date", ascending=False, kind="stable", na_position="last")
    return results.drop_duplicates("patient_id").set_index("patient_id")


def care_gap_by_pandas(hospital: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    newest = newest_results(hospital)
    patients = hospital.table("patient").df().set_index("patient_id")
    sexes = hospital.table("study").df().groupby("patient_id")["sex"].nunique()
    births = hospital.table("study").df().groupby("patient_id")["birth_date"].nunique()
    last_dxa = hospital.table("dxa").df().groupby("patient_id")["dxa_date"].max().reindex(newest.index)
    reviews = (
        hospital.table("review_event").df().sort_values("event_id").drop_duplicates("study_instance_uid", keep="last")
    )
    action = newest["study_instance_uid"].map(reviews.set_index("study_instance_uid")["action"])
    until = newest["study_instance_uid"].map(reviews.set_index("study_instance_uid")["defer_until"])
    facts = hospital.table("patient_context").df().query("holds")
    gap = pd.DataFrame(index=newest.index)
    gap["likely_osteoporosis"] = newest["band"] == "likely"
    agreed = (sexes <= 1) & (births <= 1)
    gap["identified"] = patients["identified"].reindex(gap.index) & agreed.reindex(gap.index)
    gap["old_enough"] = newest["age_years"] >= 50
    gap["no_dxa_in_look_back"] = ~(last_dxa >= AS_OF - pd.DateOffset(months=36))
    gap["no_dxa_since_ct"] = last_dxa.isna() | (last_dxa < newest["study_date"])
    for criterion, fact in FACTS.items():
        gap[criterion] = ~gap.index.isin(facts.loc[facts["fact"] == fact, "patient_id"])
    gap["open"] = action.isna() | (action == "reopen") | (until <= AS_OF)
    gap["flagged"] = gap.all(axis=1)
    return gap


def test_every_criterion_of_every_patient_is_the_same(hospital: duckdb.DuckDBPyConnection) -> None:
    expected = care_gap_by_pandas(hospital).sort_index()
    asked = hospital.table("care_gap").df().set_index("patient_id").sort_index()
    asked["old_enough"] = asked["old_enough"].fillna(value=False)
    pd.testing.assert_frame_equal(asked[list(expected)].astype(bool), expected.astype(bool), check_names=False)
    assert 0 < expected["flagged"].sum() < len(expected)


def test_the_list_is_the_same_in_the_same_order(hospital: duckdb.DuckDBPyConnection) -> None:
    newest = newest_results(hospital)[care_gap_by_pandas(hospital)["flagged"]].reset_index()
    order = newest.sort_values(["osteoporosis_probability", "age_years", "patient_id"], ascending=[False, False, True])
    assert hospital.table("flagged").df()["patient_id"].tolist() == order["patient_id"].tolist()
    waiting = hospital.execute("SELECT patient_id FROM worklist WHERE open ORDER BY position").df()
    assert waiting["patient_id"].tolist() == order["patient_id"].tolist()
