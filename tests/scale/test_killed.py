"""The script that kills sweeps: after a kill it finds nothing, and it would find what a sweep lost."""

from collections import Counter
from pathlib import Path

import pytest
from scale.killed import differences, disturb, write_small_archive


@pytest.mark.timeout(600)  # three whole sweeps, on a machine that may have other work
def test_a_sweep_that_lost_its_client_is_completed_by_the_next(tmp_path: Path) -> None:
    archive = write_small_archive(tmp_path / "archive", patients=0, seed=1)
    status = disturb(tmp_path, archive, kills=1, seed=8, workers=1)  # halfway; the worker outlives it for a while
    assert status == 0


def test_a_lost_or_doubled_row_is_a_difference() -> None:
    reference = {"outcome": Counter(["a", "b"]), "study": Counter(["a"])}
    found = {"outcome": Counter(["a", "a"]), "study": Counter(["a"])}
    assert differences(reference, found) == ["outcome: lacks ['b'], has beside ['a']"]
    assert differences(reference, reference) == []
