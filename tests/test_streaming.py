"""Tasks on real worker processes: a death or a hang costs the study that caused it, and no other."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import psutil
import pytest
from distributed import Client, LocalCluster

from screening.cluster import local_cluster
from screening.errors import UserError
from screening.streaming import Done, Here, Workers, stream

TEXT_BYTES = 200_000


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


def touch(name: str) -> bytes:
    Path(name).touch()
    return b""


def length(text: str) -> bytes:
    return b"%d" % len(text)


def fail(text: str) -> bytes:
    raise ZeroDivisionError(text)


def tasks(*texts: str) -> Iterator[tuple[str, tuple[str]]]:
    return ((text, (text,)) for text in texts)


def results(ended: Iterator[list[Done[str]]]) -> dict[str, bytes | str | None]:
    return {done.item: done.lost_to or done.result for wave in ended for done in wave}


def test_every_task_gives_its_result(client: Client) -> None:
    texts = [str(number) for number in range(20)]
    assert results(stream(Workers(client), echo, tasks(*texts), deadline_s=60)) == {
        text: text.encode() for text in texts
    }


def test_a_task_that_kills_its_worker_loses_only_itself(client: Client) -> None:
    ended = results(stream(Workers(client), die_if_poisoned, tasks("a", "b", "poison", "c", "d", "e"), deadline_s=60))
    assert ended == {"a": b"a", "b": b"b", "poison": "KilledWorker", "c": b"c", "d": b"d", "e": b"e"}


def test_a_task_that_hangs_is_given_up_and_the_others_go_on(client: Client) -> None:
    client.wait_for_workers(2, timeout=120)
    started = time.monotonic()
    ended = results(stream(Workers(client), hang_if_slow, tasks("a", "slow", "b", "c"), deadline_s=15))
    assert ended == {"a": b"a", "slow": "DeadlineExceeded", "b": b"b", "c": b"c"}
    assert time.monotonic() - started < 60


def test_the_deadline_is_that_of_a_task_and_not_of_its_queue(client: Client) -> None:
    client.wait_for_workers(2, timeout=120)
    texts = "abcdefghijklmnopqrstuvwxyz"  # 13 s on two workers, and one that has just started takes some more for one
    assert results(stream(Workers(client), take_a_second, tasks(*texts), deadline_s=10)) == {
        text: text.encode() for text in texts
    }


def test_a_wish_to_stop_ends_what_is_in_flight_and_starts_nothing(client: Client) -> None:
    done: list[str] = []
    stopped = stream(Workers(client), echo, tasks(*"abcdefghij"), deadline_s=60, stopping=lambda: bool(done))
    for wave in stopped:
        done.extend(ended.item for ended in wave)
    assert 1 <= len(done) < 10


def test_a_bug_in_a_task_is_a_bug(client: Client) -> None:
    with pytest.raises(ZeroDivisionError):
        results(stream(Workers(client), fail, tasks("a"), deadline_s=60))


def test_without_a_cluster_tasks_run_here_one_after_the_other() -> None:
    waves = list(stream(Here(), echo, tasks("a", "b"), deadline_s=60))
    assert waves == [[Done("a", b"a", None)], [Done("b", b"b", None)]]


def test_a_wish_to_stop_is_heard_without_a_cluster() -> None:
    done: list[str] = []
    for wave in stream(Here(), echo, tasks(*"abc"), deadline_s=60, stopping=lambda: bool(done)):
        done.extend(ended.item for ended in wave)
    assert done == ["a"]


def test_what_has_passed_is_not_kept(client: Client) -> None:
    def passed_mib(count: int) -> float:
        texts = ("x" * TEXT_BYTES for _ in range(count))
        for wave in stream(Workers(client), length, ((text, (text,)) for text in texts), deadline_s=60):
            assert {done.result for done in wave} == {b"%d" % TEXT_BYTES}
        return psutil.Process().memory_info().rss / 2**20

    before = passed_mib(50)
    assert passed_mib(300) - before < 0.25 * 300 * TEXT_BYTES / 2**20


def test_the_next_task_begins_before_the_last_one_is_stored(client: Client, tmp_path: Path) -> None:
    client.wait_for_workers(2, timeout=120)
    names = [str(tmp_path / text) for text in "abcdefgh"]
    handed_out = 0
    for wave in stream(Workers(client), touch, tasks(*names), deadline_s=60):
        handed_out += len(wave)
        deadline = time.monotonic() + 10
        while len(list(tmp_path.iterdir())) < min(handed_out + 2, len(names)):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_what_ended_is_handed_out_before_an_error_in_starting_the_next(client: Client) -> None:
    client.wait_for_workers(2, timeout=120)

    def broken() -> Iterator[tuple[str, tuple[str]]]:
        yield from tasks("a", "b", "c")
        raise LookupError

    handed_out: list[str] = []
    with pytest.raises(LookupError):
        for wave in stream(Workers(client), echo, broken(), deadline_s=60):
            handed_out += [done.item for done in wave]
    assert handed_out


def test_a_scheduler_that_goes_is_an_expected_error() -> None:
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "2s"}),
        LocalCluster(n_workers=1, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster.scheduler_address) as lone,
    ):
        ended = stream(Workers(lone), take_a_second, tasks(*"abcdefgh"), deadline_s=60)
        assert next(ended)
        cluster.close()
        with pytest.raises(UserError, match="scheduler is gone"):
            list(ended)


def test_more_workers_are_asked_for_while_tasks_wait(client: Client) -> None:
    wanted: list[int] = []
    results(stream(Workers(client, hire=wanted.append), echo, tasks(*"abcdefgh"), deadline_s=60))
    few: list[int] = []
    results(stream(Workers(client, hire=few.append), echo, tasks("a", "b"), deadline_s=60))
    assert set(wanted) == {4}
    assert few == []


def test_a_cluster_without_workers_is_given_up() -> None:
    with local_cluster(0) as cluster, Client(cluster) as alone:
        assert results(stream(Workers(alone, wait_s=1.0), echo, tasks(), deadline_s=60)) == {}
        with pytest.raises(UserError, match="No Dask worker came within 1 s"):
            results(stream(Workers(alone, wait_s=1.0), echo, tasks("a"), deadline_s=60))


def test_a_wish_to_stop_is_heard_while_no_worker_comes() -> None:
    asked = iter([False] * 4)
    with local_cluster(0) as cluster, Client(cluster) as alone:
        ended = stream(Workers(alone), echo, tasks("a"), deadline_s=60, stopping=lambda: next(asked, True))
        assert results(ended) == {}
