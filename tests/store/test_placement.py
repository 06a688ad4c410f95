"""Another reference or rule is entered without reading pixels, as reading would have done."""

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pytest
from care_gap_rows import NOW, SHA, add_patient, new_database

from screening.prediction.tscore import REFERENCES, OsteoporosisRule, Standard, place
from screening.store.database import write_rows
from screening.store.placement import Replaced, place_again

HOLOGIC = Standard(REFERENCES["hologic_l1_l4_female"])
LUNAR = Standard(REFERENCES["lunar_l1_l4_female"])
JAPANESE = Standard(REFERENCES["japan_l1_l4_hologic"], OsteoporosisRule.YAM)
COLUMNS = "reference, reference_mean, reference_sd, osteoporosis_rule, category, z_category, band"


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    return new_database()


@pytest.fixture
def connection(database: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    yield database
    for table in ("study_bmd", "study", "patient", "vertebra", "outcome", "reference_population"):
        database.execute(f"DELETE FROM {table}")


def add_read(connection: duckdb.DuckDBPyConnection, *levels: float, study: str = "2.25.1", **facts: Any) -> None:
    """Add a study read before reference figures were stored with it, and its levels."""
    add_patient(connection, study=study, **facts)
    outcome = {"study_instance_uid": study, "checkpoint_sha256": SHA, "sweep_id": 1, "status": "measured"}
    read = {"detail": "", "reading_fingerprint": "f", "read_seconds": 1.0, "read_at": NOW}
    write_rows(connection, "outcome", [outcome | read])
    write_rows(connection, "vertebra", [vertebra(study, number, bmd) for number, bmd in enumerate(levels)])


def vertebra(study: str, number: int, bmd: float) -> dict[str, Any]:
    key = {"study_instance_uid": study, "checkpoint_sha256": SHA, "series_instance_uid": study}
    place_mm = dict.fromkeys(("centre_x_mm", "centre_y_mm", "centre_z_mm", "lower_z_mm"), -30.0 * number)
    level = {"level": f"L{number + 1}", "confidence": 1.0, "upper_z_mm": 0.0, "bmd_cnn": bmd, "used": True}
    return key | place_mm | level


def stored(connection: duckdb.DuckDBPyConnection, columns: str = COLUMNS) -> list[tuple[Any, ...]]:
    return connection.execute(f"SELECT {columns} FROM study_bmd ORDER BY study_instance_uid").fetchall()


def test_an_earlier_database_learns_what_it_was_held_against(connection: duckdb.DuckDBPyConnection) -> None:
    add_read(connection, 0.70, 0.70, 0.70, 0.70)
    assert place_again(connection, HOLOGIC, REFERENCES.values()) == Replaced(1, 0)
    assert stored(connection) == [("hologic_l1_l4_female", 1.047, 0.11, "t_score", "osteoporosis", None, "likely")]
    assert place_again(connection, HOLOGIC, REFERENCES.values()) == Replaced(0, 0)


def test_another_reference_is_entered_as_reading_would(connection: duckdb.DuckDBPyConnection) -> None:
    add_read(connection, 0.9, 0.9, 0.9, 0.9, bmd_cnn=0.9, bmd_low=0.8, bmd_high=1.0)
    place_again(connection, LUNAR, REFERENCES.values())

    there = place(np.array([0.9]), np.array([0.1]), np.array([70.0]), np.array(["F"]), LUNAR)
    numbers = (there.t_score[0], there.yam_percent[0], there.osteoporosis_probability[0])
    assert stored(connection, "t_score, yam_percent, osteoporosis_probability")[0] == pytest.approx(numbers)
    assert stored(connection, "category, band, z_score") == [("osteopenia", "indeterminate", None)]


def test_the_japanese_rule_is_entered(connection: duckdb.DuckDBPyConnection) -> None:
    add_read(connection, 0.7, 0.7, 0.7, 0.7, bmd_cnn=0.7, bmd_low=0.6, bmd_high=0.8)
    place_again(connection, JAPANESE, REFERENCES.values())
    assert stored(connection, "osteoporosis_rule, category, band") == [("yam", "osteopenia", "indeterminate")]


def test_under_fifty_the_z_score_is_entered(connection: duckdb.DuckDBPyConnection) -> None:
    add_read(connection, 0.7, 0.7, 0.7, 0.7, age=45.0)
    place_again(connection, HOLOGIC, REFERENCES.values())
    assert stored(connection, "category, z_category") == [(None, "below_expected_range_for_age")]
    assert stored(connection, "z_score")[0][0] == pytest.approx((0.7 - 1.056) / 0.134)


@pytest.mark.parametrize(
    ("levels", "fingerprint"),
    [
        ((0.70, 0.70, 0.70, 0.80), "f"),  # within one T-score by both
        ((0.70, 0.70, 0.70, 0.70 + 0.1155), ""),  # an outlier by 0.110, none by 0.120
        ((0.70, 0.70, 0.70, 0.85), "f"),  # an outlier by both
        ((0.70, 0.70 + 0.1155), ""),  # a warning by one of them
        ((), ""),  # its levels are not known
    ],
)
def test_levels_that_would_be_judged_otherwise_are_read_again(
    connection: duckdb.DuckDBPyConnection, levels: tuple[float, ...], fingerprint: str
) -> None:
    between = Standard(REFERENCES["japan_l2_l4_hologic"])  # one T-score is 0.119
    add_read(connection, *levels)
    place_again(connection, between, REFERENCES.values())
    assert connection.execute("SELECT reading_fingerprint FROM outcome").fetchall() == [(fingerprint,)]
    assert stored(connection, "reference") == [("japan_l2_l4_hologic" if fingerprint else "hologic_l1_l4_female",)]


def test_the_references_known_are_told(connection: duckdb.DuckDBPyConnection) -> None:
    place_again(connection, HOLOGIC, REFERENCES.values())
    rows = connection.execute("SELECT reference FROM reference_population").fetchall()
    assert {name for (name,) in rows} == set(REFERENCES)
