from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.figures import without_figures
from tests.fork_server import ForkServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start modules with a test that may take over five minutes first, so that no worker waits long for another at the end."""
    slow = {item.path for item in items for mark in item.iter_markers("timeout") if mark.args[0] > 300}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests neither read nor change the user's cache. All workers of pytest-xdist use one cache: each set is generated once."""
    patch = pytest.MonkeyPatch()
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    cache.mkdir(exist_ok=True)
    patch.setenv("DSD_CACHE", str(cache))
    patch.delenv("DSD_STOP_WITH_PARENT", raising=False)  # set by a nox session that runs the tests
    yield cache
    patch.undo()


@pytest.fixture(scope="session")
def fork_server(_own_cache: Path) -> Iterator[ForkServer]:
    """Runs code in a process that need not import the suite."""
    with ForkServer() as server:
        yield server


@pytest.fixture
def no_figures() -> Iterator[None]:
    with without_figures():
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """A second thread only slows down networks this small."""
    torch.set_num_threads(1)
