"""Tasks on real worker processes: a death or a hang costs the study that caused it, and no other."""

import os
import signal
import time
from collections.abc import Iterator

import pytest
from distributed import Client

from screening.cluster import Done, local_cluster, stream


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with local_cluster(2) as cluster, Client(cluster) as connected:
        yield connected


def echo(text: str) -> bytes:
    return text.encode()


def die_if_poisoned(text: str) -> bytes:
    if text == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    return echo(text)


def hang_if_slow(text: str) -> bytes:
    if text == "slow":
        time.sleep(120)
    return echo(text)


def take_a_second(text: str) -> bytes:
    time.sleep(1)
    return echo(text)


def fail(text: str) -> bytes:
    raise ZeroDivisionError(text)


def tasks(*texts: str) -> Iterator[tuple[str, tuple[str]]]:
    return ((text, (text,)) for text in texts)


def results(ended: Iterator[list[Done[str]]]) -> dict[str, bytes | str | None]:
    return {done.item: done.lost_to or done.result for wave in ended for done in wave}


def test_every_task_gives_its_result(client: Client) -> None:
    texts = [str(number) for number in range(20)]
    assert results(stream(client, echo, tasks(*texts), deadline_s=60)) == {text: text.encode() for text in texts}


def test_a_task_that_kills_its_worker_loses_only_itself(client: Client) -> None:
    ended = results(stream(client, die_if_poisoned, tasks("a", "b", "poison", "c", "d", "e"), deadline_s=60))
    assert ended == {"a": b"a", "b": b"b", "poison": "KilledWorker", "c": b"c", "d": b"d", "e": b"e"}


def test_a_task_that_hangs_is_given_up_and_the_others_go_on(client: Client) -> None:
    started = time.monotonic()
    ended = results(stream(client, hang_if_slow, tasks("a", "slow", "b", "c"), deadline_s=5))
    assert ended == {"a": b"a", "slow": "DeadlineExceeded", "b": b"b", "c": b"c"}
    assert time.monotonic() - started < 60


def test_the_deadline_is_that_of_a_task_and_not_of_its_queue(client: Client) -> None:
    texts = "abcdefgh"
    assert results(stream(client, take_a_second, tasks(*texts), deadline_s=3)) == {
        text: text.encode() for text in texts
    }


def test_a_wish_to_stop_ends_what_is_in_flight_and_starts_nothing(client: Client) -> None:
    done: list[str] = []
    stopped = stream(client, echo, tasks(*"abcdefghij"), deadline_s=60, stopping=lambda: bool(done))
    for wave in stopped:
        done.extend(ended.item for ended in wave)
    assert 1 <= len(done) < 10


def test_a_bug_in_a_task_is_a_bug(client: Client) -> None:
    with pytest.raises(ZeroDivisionError):
        results(stream(client, fail, tasks("a"), deadline_s=60))
