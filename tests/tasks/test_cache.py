"""A folder that is made once is whole or absent, also when several threads or processes make it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tasks.data.cache import made_once


def make(root: Path) -> None:
    root.mkdir()
    for name in "abc":
        (root / name).write_text(name)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_made_with_its_parents_and_only_once(tmp_path: Path) -> None:
    target = tmp_path / "cache" / "set"
    assert made_once(target, make) == target
    assert names(target) == ["a", "b", "c"]
    (target / "a").write_text("changed")
    assert made_once(target, make) == target
    assert (target / "a").read_text() == "changed"
    assert names(target.parent) == ["set"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_maker_that_is_interrupted_leaves_nothing_that_looks_finished(
    tmp_path: Path, error: type[BaseException]
) -> None:
    seen = []

    def interrupted(root: Path) -> None:
        make(root)
        seen.extend(names(tmp_path))
        raise error

    with pytest.raises(error):
        made_once(tmp_path / "set", interrupted)
    # A kill would leave a hidden folder with another name.
    assert len(seen) == 1
    assert seen[0].startswith(".making-")
    assert names(tmp_path) == []
    assert names(made_once(tmp_path / "set", make)) == ["a", "b", "c"]


def test_makers_at_once_do_not_clash(tmp_path: Path) -> None:
    start, made = threading.Barrier(4), []

    def together(root: Path) -> None:
        make(root)
        start.wait(timeout=30)  # all four have made their folder before the first rename

    def one() -> None:
        made.append(made_once(tmp_path / "set", together))

    makers = [threading.Thread(target=one) for _ in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert made == [tmp_path / "set"] * 4
    assert names(tmp_path) == ["set"]
    assert names(tmp_path / "set") == ["a", "b", "c"]


def test_a_place_that_cannot_be_taken_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("a file")
    with pytest.raises(OSError, match="set"):
        made_once(tmp_path / "set", make)
    assert names(tmp_path) == ["set"]
