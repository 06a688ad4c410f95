"""Deciding about a patient: what is recorded, what is seen of others, what is taken back."""

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import published_example as example
import pytest
from page_runs import assert_labelled, run_patient, run_worklist, written
from streamlit.testing.v1 import AppTest

from dashboard import access, queries
from dashboard.access import Visitor
from screening.dashboard_settings import Role
from screening.store.audit import entries
from screening.store.database import DatabaseFolder
from screening.store.reviews import Review, ReviewAction, add_event, events

STUDY = example.FIRST.study_instance_uid


def opened() -> AppTest:
    return run_patient(patient="FLAGGED-1")


def decide(at: AppTest, action: ReviewAction, reviewer: str = "A. Reviewer", comment: str = "") -> AppTest:
    at.text_input(key="reviewer").input(reviewer).run()
    at.button_group(key=f"decide {STUDY}").set_value(action).run()
    at.text_input(key=f"comment {STUDY}").input(comment).run()
    return button(at, "Record the decision").click().run()


def button(at: AppTest, label: str) -> Any:
    (found,) = [one for one in at.button if one.label == label]
    return found


def decided(folder: Path) -> list[tuple[str, str, str]]:
    rows = events(DatabaseFolder(folder)).to_pylist()
    return [(row["action"], row["reviewer"], row["comment"]) for row in rows]


def decide_elsewhere(folder: Path, seen: int | None = None) -> None:
    review = Review("FLAGGED-1", STUDY, ReviewAction.DISMISS, "B. Other")
    add_event(DatabaseFolder(folder), review, seen_event_id=seen)


def test_order_leaves_the_list_and_is_in_the_trail(folder: Path, published: queries.Publication) -> None:
    at = decide(opened(), ReviewAction.ORDER_DXA, comment="asked the ward")

    assert_labelled(at)
    assert decided(folder) == [("order_dxa", "A. Reviewer", "asked the ward")]
    assert "Recorded: DXA ordered" in at.success[0].value
    assert ":blue-badge[Likely osteoporosis: DXA ordered]" in written(at)
    assert "Closed by a reviewer" in written(at)
    assert list(run_worklist().dataframe[0].value["patient_id"]) == ["FLAGGED-2"]
    trail = entries(DatabaseFolder(folder), 50)
    assert list(trail[trail["action"] == "review"]["detail"]) == ["order_dxa"]
    assert list(trail[trail["action"] == "review"]["patient_id"]) == ["FLAGGED-1"]


def test_deferral_asks_for_its_day(folder: Path, published: queries.Publication) -> None:
    at = opened()
    at.text_input(key="reviewer").input("A. Reviewer").run()
    at.button_group(key=f"decide {STUDY}").set_value(ReviewAction.DEFER).run()
    at.date_input[0].set_value(date(2026, 4, 1)).run()
    at = button(at, "Record the decision").click().run()

    assert events(DatabaseFolder(folder)).column("defer_until").to_pylist() == [date(2026, 4, 1)]
    assert "Deferred until 2026-04-01" in written(at)


def test_decision_without_a_name_is_refused(folder: Path, published: queries.Publication) -> None:
    at = decide(opened(), ReviewAction.DISMISS, reviewer=" ")

    assert "needs the name" in at.warning[-1].value
    assert decided(folder) == []


def test_decision_of_another_is_told_and_must_be_seen(folder: Path, published: queries.Publication) -> None:
    at = opened()
    decide_elsewhere(folder)
    at = at.run()

    assert "Somebody has decided about this CT since you opened it" in "".join(warning.value for warning in at.warning)
    assert "Record the decision" not in [one.label for one in at.button]
    at = decide(button(at, "I have seen it").click().run(), ReviewAction.ORDER_DXA)
    assert [action for action, *_ in decided(folder)] == ["dismiss", "order_dxa"]


def test_click_that_comes_too_late_changes_nothing(folder: Path, published: queries.Publication) -> None:
    at = opened()
    at.text_input(key="reviewer").input("A. Reviewer").run()
    at.button_group(key=f"decide {STUDY}").set_value(ReviewAction.ORDER_DXA).run()
    decide_elsewhere(folder)
    at = button(at, "Record the decision").click().run()

    assert [action for action, *_ in decided(folder)] == ["dismiss"]
    assert "Somebody has decided" in "".join(warning.value for warning in at.warning)


def test_taking_back_is_an_event_of_its_own(folder: Path, published: queries.Publication) -> None:
    at = decide(decide(opened(), ReviewAction.ORDER_DXA), ReviewAction.DISMISS)
    at = button(at, "Take the last decision back").click().run()

    assert [(action, comment) for action, _, comment in decided(folder)] == [
        ("order_dxa", ""), ("dismiss", ""), ("order_dxa", "takes decision 2 back"),
    ]  # fmt: skip
    assert "State: **DXA ordered**" in written(at)


def test_taking_the_only_decision_back_opens_again(folder: Path, published: queries.Publication) -> None:
    at = button(decide(opened(), ReviewAction.DISMISS), "Take the last decision back").click().run()

    assert [action for action, *_ in decided(folder)] == ["dismiss", "reopen"]
    assert ":red-badge[Flagged]" in written(at)
    assert "Take the last decision back" in [one.label for one in at.button]


def test_history_names_reviewer_and_comment(folder: Path, published: queries.Publication) -> None:
    decide_elsewhere(folder)
    (history,) = [table.value for table in opened().dataframe if "decision" in table.value]

    assert history[["decision", "reviewer", "about"]].to_numpy().tolist() == [["Dismissed", "B. Other", "2025-09-01"]]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.QUALITY])
def test_only_a_reviewer_may_decide(
    folder: Path, published: queries.Publication, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    monkeypatch.setattr(access, "visitor", lambda: Visitor("V", frozenset({role})))
    at = opened()

    assert_labelled(at)
    assert "State: **Open**" in written(at)
    assert "Record the decision" not in [one.label for one in at.button]


def test_patient_off_the_list_has_nothing_to_decide(published: queries.Publication) -> None:
    assert "nothing to decide" in written(run_patient(patient="RECENT-DXA"))


def test_indeterminate_patient_can_be_decided_about(folder: Path, published: queries.Publication) -> None:
    at = run_patient(patient="INDETERMINATE")
    assert ":orange-badge[Indeterminate, not flagged]" in written(at)
    at.text_input(key="reviewer").input("A. Reviewer").run()
    study = example.INDETERMINATE.study_instance_uid
    at.button_group(key=f"decide {study}").set_value(ReviewAction.ORDER_DXA).run()
    at = button(at, "Record the decision").click().run()

    assert decided(folder) == [("order_dxa", "A. Reviewer", "")]
    assert ":blue-badge[Indeterminate: DXA ordered]" in written(at)


def test_view_is_entered_into_the_trail_once(folder: Path, published: queries.Publication) -> None:
    opened().run()
    trail = entries(DatabaseFolder(folder), 50)

    assert list(trail[trail["action"] == "view"]["patient_id"]) == ["FLAGGED-1"]


def test_address_names_the_patient_by_a_study_key_alone(published: queries.Publication) -> None:
    at = opened()

    assert list(at.query_params) == ["study"]
    assert "FLAGGED" not in str(at.query_params["study"])


def test_second_click_decides_nothing_more(folder: Path, published: queries.Publication) -> None:
    at = decide(opened(), ReviewAction.DISMISS)

    assert button(at, "Record the decision").disabled
    assert at.text_input(key=f"comment {STUDY}").value == ""
    assert len(decided(folder)) == 1


def test_trail_that_cannot_be_written_records_nothing(folder: Path, published: queries.Publication) -> None:
    at = opened()
    shutil.rmtree(folder / "audit")
    (folder / "audit").write_text("a file where the folder should be")
    decide(at, ReviewAction.DISMISS)

    assert decided(folder) == []


def test_patient_seen_again_after_the_list_is_entered_again(folder: Path, published: queries.Publication) -> None:
    at = opened()
    at.query_params.clear()
    at = at.switch_page("screens/worklist.py").run()
    at = at.switch_page("screens/patient.py")
    at.query_params["study"] = STUDY
    at.run()

    trail = entries(DatabaseFolder(folder), 50)
    assert list(trail["action"])[:3] == ["view", "list", "view"]


def test_patients_found_by_a_search_are_entered(folder: Path, published: queries.Publication) -> None:
    at = run_patient()
    at.text_input[0].input("FLAGGED").run()

    trail = entries(DatabaseFolder(folder), 50)
    assert list(trail[trail["action"] == "list"]["detail"])[:1] == ["search: FLAGGED"]
