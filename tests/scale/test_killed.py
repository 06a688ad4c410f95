"""The script that kills sweeps would find what one lost; that none is lost, tests/test_sweep.py shows for one kill."""

from collections import Counter

from scale.killed import differences


def test_a_lost_or_doubled_row_is_a_difference() -> None:
    reference = {"outcome": Counter(["a", "b"]), "study": Counter(["a"])}
    found = {"outcome": Counter(["a", "a"]), "study": Counter(["a"])}
    assert differences(reference, found) == ["outcome: lacks ['b'], has beside ['a']"]
    assert differences(reference, reference) == []
