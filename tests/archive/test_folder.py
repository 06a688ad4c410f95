import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from screening.archive.folder import (
    NOT_TRUSTED,
    UNREACHABLE_BYTES,
    Gone,
    KnownFolder,
    Listing,
    Unchanged,
    below,
    folder_changes,
    found_file,
    require_apart,
    require_folders,
    require_still_there,
    revisit,
    walk,
)
from screening.errors import UserError

HOUR_NS = 3600 * 10**9


def names(folder: Path) -> list[str]:
    return [
        str(found_file(listing.path, file).path.relative_to(folder))
        for listing in walk([folder])
        for file in listing.files
    ]


def listing(*files: tuple[str, int, int], path: str = "/a", reachable: bool = True) -> Listing:
    return Listing(path, 1, files, (), reachable)


def remembered(listings: Iterable[Listing]) -> dict[str, KnownFolder]:
    return {one.path: KnownFolder(one.mtime_ns, one.digest, len(one.files), one.reachable) for one in listings}


def make_old(folder: Path) -> None:
    """Set the clock of every folder back, as if nothing had come for an hour."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            before = path.stat().st_mtime_ns - HOUR_NS
            os.utime(path, ns=(before, before))


def test_every_file_of_any_name_and_depth_is_found(tmp_path: Path) -> None:
    for name in ("b/2", "a/1", "a/deep/er/IM 0001", "DICOMDIR", ".hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert sorted(names(tmp_path)) == [".hidden", "DICOMDIR", "a/1", "a/deep/er/IM 0001", "b/2"]


def test_a_loop_of_links_ends_and_linked_folders_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1").write_text("x")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "a")
    assert names(tmp_path) == ["a/1"]


def test_the_same_archive_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "1").write_text("x")
    assert len(list(walk([tmp_path, tmp_path / "."]))) == 1


@pytest.mark.parametrize("target", ["gone", "link"])
def test_a_link_to_nowhere_or_to_itself_is_found_so_that_it_can_be_counted(tmp_path: Path, target: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / target)
    (only,) = [found_file(one.path, file) for one in walk([tmp_path]) for file in one.files]
    assert (only.path.name, only.unreachable) == ("link", True)


def test_a_name_that_is_no_text_is_found(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).write_text("x")
    assert names(tmp_path) == ["caf\udce9"]
    assert next(walk([tmp_path])).digest


def test_a_folder_that_may_still_change_within_the_tick_of_its_clock_is_not_trusted(tmp_path: Path) -> None:
    assert next(walk([tmp_path])).mtime_ns == NOT_TRUSTED
    make_old(tmp_path)
    assert next(walk([tmp_path])).mtime_ns == tmp_path.stat().st_mtime_ns


def test_an_unchanged_tree_is_not_listed_again(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    make_old(tmp_path)
    known = remembered(walk([tmp_path]))
    assert {type(look) for look in revisit([tmp_path], known)} == {Unchanged}


def test_only_what_changed_and_what_is_new_is_listed(tmp_path: Path) -> None:
    for name in ("same", "grown", "lost/deep"):
        (tmp_path / name).mkdir(parents=True)
    make_old(tmp_path)
    known = remembered(walk([tmp_path]))
    (tmp_path / "grown" / "1").write_text("x")
    (tmp_path / "new" / "deep").mkdir(parents=True)
    (tmp_path / "lost" / "deep").rename(tmp_path / "same" / "moved")
    (tmp_path / "lost").rmdir()

    looks = list(revisit([tmp_path], known))

    below_root = {(type(look).__name__, str(Path(look.path).relative_to(tmp_path))) for look in looks}
    assert below_root == {
        ("Gone", "lost"),
        ("Gone", "lost/deep"),
        ("Listing", "."),
        ("Listing", "grown"),
        ("Listing", "new"),
        ("Listing", "new/deep"),
        ("Listing", "same"),
        ("Listing", "same/moved"),
    }


def test_a_new_link_to_a_known_folder_is_not_followed_again(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1").write_text("x")
    known = remembered(walk([tmp_path]))
    (tmp_path / "again").symlink_to(tmp_path / "a")
    assert sorted(look.path for look in revisit([tmp_path], known)) == [str(tmp_path), str(tmp_path / "a")]


def test_folders_of_other_archives_are_left_alone(tmp_path: Path) -> None:
    known = {"/elsewhere": KnownFolder(1, b"", 1, True)}
    assert [look.path for look in revisit([tmp_path], known)] == [str(tmp_path)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_closed_folder_is_neither_gone_nor_empty(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    known = remembered(walk([tmp_path]))
    (tmp_path / "closed").chmod(0)
    assert [look.path for look in revisit([tmp_path], known) if not isinstance(look, Gone)] == [
        str(tmp_path),
        str(tmp_path / "closed"),
    ]


def test_what_lies_in_a_folder_that_cannot_be_listed_has_not_vanished() -> None:
    changes = folder_changes(listing(reachable=False), {"1": (1, 1)})
    assert (changes.to_read, changes.vanished) == ((), frozenset())


def test_a_known_file_that_cannot_be_reached_tonight_is_left_as_it_is() -> None:
    changes = folder_changes(listing(("1", UNREACHABLE_BYTES, 0)), {"1": (1, 1)})
    assert (changes.to_read, changes.vanished) == ((), frozenset())


def test_an_archive_that_became_empty_is_refused_as_not_mounted(tmp_path: Path) -> None:
    (tmp_path / "a" / "empty").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1").write_text("x")
    known = {str(tmp_path / "a"): KnownFolder(1, b"", 5, True), str(tmp_path / "b"): KnownFolder(1, b"", 5, True)}

    with pytest.raises(UserError, match="/a held files .* is it mounted"):
        require_still_there([tmp_path / "a", tmp_path / "b"], known)
    require_still_there([tmp_path / "b"], known)


def test_a_missing_archive_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Expected a folder"):
        require_folders([tmp_path, tmp_path / "none"])


def test_what_changed_is_new_or_differs_in_size_or_time() -> None:
    now = listing(("grown", 2, 1), ("new", 1, 1), ("same", 1, 1), ("touched", 1, 2))
    changes = folder_changes(now, {"same": (1, 1), "grown": (1, 1), "touched": (1, 1), "gone": (1, 1)})

    assert [file[0] for file in changes.to_read] == ["grown", "new", "touched"]
    assert changes.changed == {"grown", "touched"}
    assert changes.vanished == {"gone"}


def test_a_folder_with_a_similar_name_is_not_below() -> None:
    assert below("/a/b", ["/a"])
    assert below("/a", ["/a"])
    assert below("/a", ["/"])
    assert not below("/ab", ["/a"])


def test_a_database_in_the_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "archive" / "db").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "archive" / "db")
    require_apart([tmp_path / "archive"], tmp_path / "archive db")
    for inside in ("archive", "archive/db", "archive/db/new", "link"):
        with pytest.raises(UserError, match="lies in the archive"):
            require_apart([tmp_path / "other", tmp_path / "archive"], tmp_path / inside)
