import os
from pathlib import Path

import pytest

from screening.archive.folder import changes, require_folders, require_still_there, walk
from screening.archive.header import FoundFile
from screening.errors import UserError


def names(folder: Path) -> list[str]:
    return [str(file.path.relative_to(folder)) for file in walk([folder])]


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


def test_a_dangling_link_is_found_so_that_it_can_be_counted(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    assert names(tmp_path) == ["link"]


def test_a_name_that_is_no_text_is_found(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).write_text("x")
    assert names(tmp_path) == ["caf\udce9"]


def test_a_link_to_itself_is_found_so_that_it_can_be_counted(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "1").write_text("x")
    assert sorted(names(tmp_path)) == ["1", "self"]


def test_what_lies_below_a_folder_that_cannot_be_listed_has_not_vanished() -> None:
    found = [FoundFile(Path("/a/closed"), 0, 0, unreachable=True)]
    changed = changes(iter(found), {Path("/a/closed/1"): (1, 1), Path("/a/2"): (1, 1)})
    assert changed.vanished == {Path("/a/2")}


def test_a_known_file_that_cannot_be_reached_tonight_is_left_as_it_is() -> None:
    changed = changes(iter([FoundFile(Path("/a/1"), 0, 0, unreachable=True)]), {Path("/a/1"): (1, 1)})
    assert (changed.to_read, changed.vanished) == ((), frozenset())


def test_an_archive_that_became_empty_is_refused_as_not_mounted() -> None:
    known = {Path("/a/1"): (1, 1), Path("/b/1"): (1, 1)}
    changed = changes(iter([FoundFile(Path("/b/1"), 1, 1)]), known)

    with pytest.raises(UserError, match="/a held files .* is it mounted"):
        require_still_there([Path("/a"), Path("/b")], changed, known)
    require_still_there([Path("/b")], changed, known)


def test_a_missing_archive_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Expected a folder"):
        require_folders([tmp_path, tmp_path / "none"])


def test_what_changed_is_new_or_differs_in_size_or_time() -> None:
    found = [FoundFile(Path(name), size, time) for name, size, time in (("same", 1, 1), ("new", 1, 1), ("grown", 2, 1))]
    known = {Path("same"): (1, 1), Path("grown"): (1, 1), Path("gone"): (1, 1)}

    changed = changes(iter(found), known)

    assert [file.path.name for file in changed.to_read] == ["new", "grown"]
    assert changed.vanished == {Path("gone")}
    assert changed.found_count == 3


def test_a_touched_file_is_read_again() -> None:
    assert changes(iter([FoundFile(Path("a"), 1, 2)]), {Path("a"): (1, 1)}).to_read
