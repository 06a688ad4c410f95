"""The script that kills sweeps, with few kills: it finds nothing, and would find what a sweep lost."""

from collections import Counter
from pathlib import Path

import pytest
from scale.killed import differences, disturb, write_small_archive


@pytest.mark.timeout(600)  # a handful of whole sweeps, on a machine that may have other work
def test_killed_sweeps_leave_what_an_undisturbed_one_leaves(tmp_path: Path) -> None:
    archive = write_small_archive(tmp_path / "archive", patients=0, seed=1)
    assert disturb(tmp_path, archive, kills=2, seed=1, workers=1) == 0


def test_a_lost_or_doubled_row_is_a_difference() -> None:
    reference = {"outcome": Counter(["a", "b"]), "study": Counter(["a"])}
    found = {"outcome": Counter(["a", "a"]), "study": Counter(["a"])}
    assert differences(reference, found) == ["outcome: lacks ['b'], has beside ['a']"]
    assert differences(reference, reference) == []
