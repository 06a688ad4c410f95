"""Who is said to read otherwise, and since when."""

from datetime import date
from pathlib import Path
from typing import Any

import published_example as example
import pytest

from dashboard import queries
from dashboard.rows import drift as rows


def judged(month: int, state: str, scanner: str = "A", metric: str = "fat_hu", **other: Any) -> dict[str, Any]:
    judgement = {"baseline": -100.0, "baseline_n": 200, "shift": 4.24, "z": 6.1, "months": 1, "z_limit": 4.8}
    known = judgement if state in ("alert", "stable") else dict.fromkeys(judgement)
    row = {
        "month": date(2025, month, 1),
        "scanner": scanner,
        "metric": metric,
        "value": -95.76,
        "n": 40,
        "state": state,
    }
    return row | known | other


def published(folder: Path, *drift_rows: dict[str, Any]) -> queries.Publication:
    example.publish_rows(folder, 1, {"drift_metric": list(drift_rows)})
    return queries.publication()


def test_an_alert_is_one_sentence_with_unit_n_and_z(folder: Path) -> None:
    found = rows.alerts(published(folder, judged(1, "baseline"), judged(2, "alert")))

    assert found == {
        "A": [
            "reads fat 4.2 HU higher than in its first months (−100.0 HU then; n = 40 in 2025-02; z = +6.1, "
            "chance ±4.8), since 2025-02"
        ]
    }


def test_a_share_shifts_by_percentage_points(folder: Path) -> None:
    shift = {"value": 0.4, "baseline": 0.1, "shift": -0.3, "z": -7.0, "months": 3}
    found = rows.alerts(published(folder, judged(2, "alert", metric="excluded: contrast", **shift)))

    assert found["A"][0].startswith(
        "share of studies excluded: contrast-enhanced is 30.0 percentage points lower than in its first months, over "
        "its 3 newest months (10.0 % then;"
    )


def test_a_run_of_alerts_began_after_the_last_stable_month(folder: Path) -> None:
    states = ["alert", "stable", "alert", "too_few", "alert"]
    found = rows.alerts(published(folder, *(judged(month, state) for month, state in enumerate(states, start=1))))

    assert found["A"][0].endswith("since 2025-03")


def test_a_newest_month_with_too_few_studies_does_not_hide_the_alert_before(folder: Path) -> None:
    assert list(rows.alerts(published(folder, judged(5, "alert"), judged(6, "too_few")))) == ["A"]


@pytest.mark.parametrize("then", ["stable", "alert"])
def test_an_alert_that_is_over_is_not_said(folder: Path, then: str) -> None:
    found = rows.alerts(published(folder, judged(5, "alert"), judged(6, "stable"), judged(6, then, scanner="B")))

    assert "A" not in found


def test_an_alert_of_long_ago_is_not_said(folder: Path) -> None:
    others = (judged(month, "stable", scanner="B") for month in (4, 5, 6))

    assert rows.alerts(published(folder, judged(3, "alert"), *others)) == {}


def test_the_scanner_that_stands_out_most_is_said_first(folder: Path) -> None:
    found = rows.alerts(published(folder, judged(2, "alert", z=-5.0), judged(2, "alert", scanner="B", z=9.0)))

    assert list(found) == ["B", "A"]


@pytest.mark.parametrize(
    ("states", "gravest"),
    [
        (("alert", "stable", "baseline", "too_few"), "alert"),
        (("stable", "baseline", "too_few"), "stable"),
        (("baseline", "too_few"), "baseline"),
        (("too_few",), "too_few"),
    ],
)
def test_the_state_of_a_month_is_its_gravest(folder: Path, states: tuple[str, ...], gravest: str) -> None:
    metrics = ("fat_hu", "air_hu", "muscle_hu", "l1_hu")
    shown = published(folder, *(judged(1, state, metric=metrics[place]) for place, state in enumerate(states)))

    assert list(rows.months(shown, None)["state"]) == [gravest]
    assert list(rows.months(shown, "fat_hu")["state"]) == [states[0]]


def test_scanners_with_alerts_come_first_with_what_stands_out_most(folder: Path) -> None:
    shown = published(
        folder, judged(1, "stable", z=0.5), judged(1, "alert", scanner="B"),
        judged(1, "stable", scanner="B", metric="air_hu", z=-1.0, shift=-1.0),
    )  # fmt: skip
    scanners = rows.scanners(shown)

    assert list(scanners["scanner"]) == ["B", "A"]
    assert list(scanners["state"]) == ["Alert", "Stable"]
    assert list(scanners["worst"]) == ["+4.2 HU (z = +6.1): fat", "+4.2 HU (z = +0.5): fat"]
    assert list(scanners["alert_month_count"]) == [1, 0]


def test_a_scanner_that_is_being_learned_has_no_shift(folder: Path) -> None:
    scanners = rows.scanners(published(folder, judged(1, "baseline")))

    assert scanners["worst"].isna().tolist() == [True]
    assert list(scanners["state"]) == ["Being learned"]


def test_metrics_with_alerts_are_offered_first(folder: Path) -> None:
    shown = published(
        folder, judged(1, "stable", metric="air_hu"), judged(1, "alert", metric="failed"),
        judged(1, "alert", scanner="B", metric="l1_hu"),
    )  # fmt: skip

    assert rows.metrics(shown) == ["failed", "l1_hu", "air_hu"]
    assert rows.metrics(shown, "B") == ["l1_hu"]


def test_before_drift_was_run_there_is_no_month(folder: Path) -> None:
    assert rows.standing(published(folder)).newest_month is None


def test_history_is_in_the_order_of_months(folder: Path) -> None:
    history = rows.history(published(folder, judged(2, "alert"), judged(1, "baseline")), "A", "fat_hu")

    assert list(history["state"]) == ["baseline", "alert"]
