"""Work in threads, and the folder of the cache."""

from pathlib import Path

import pytest

from tasks.data import verification
from tasks.data.cache import cache_dir


def test_cache_dir_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "a"))
    assert cache_dir() == tmp_path / "a"
    monkeypatch.delenv("DSD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert cache_dir() == tmp_path / "b" / "dsd"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "dsd"


def test_threaded_keeps_the_order_and_passes_errors_on() -> None:
    assert list(verification.threaded(lambda x: x * x, range(1000), workers=3)) == [x * x for x in range(1000)]
    with pytest.raises(ZeroDivisionError):
        list(verification.threaded(lambda x: 1 // x, [1, 0], workers=2))
    assert list(verification.threaded(str, [], workers=2)) == []
