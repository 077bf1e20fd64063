"""Promise 9 for whole trials with loader processes: exit status, one error line, no process left, a usable checkpoint."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.fork_server import ForkServer
from tests.trust import matrix

PREPARED = 4
"""Batches that torch's DataLoader prepares ahead with two workers: two for each."""
EXPECTED = {
    "killed_worker": (1, r"was killed \(SIGKILL\), as where memory runs out"),
    "killed_forkserver": (1, "the forkserver of the loader processes was killed"),
    "vanished": (1, r"No such file or directory: '.*/data/(train|val)/"),
    "killed": (-9, None),
    "second_ctrl_c": (130, None),
    "terminated": (143, None),
    "hung_up": (129, None),
}


@pytest.fixture(scope="module")
def endings(fork_server: ForkServer) -> dict[str, Any]:
    done = fork_server.run("import sys; from tests.trust import endings; endings.main(sys.argv[1:])", *EXPECTED)
    assert done.returncode == 0, done.stderr
    return {one["name"]: one for one in map(json.loads, done.stdout.splitlines())}


@pytest.mark.promise(9)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", EXPECTED)
def test_a_trial_that_comes_to_grief_ends(name: str, endings: dict[str, Any]) -> None:
    found = endings[name]
    status, error = EXPECTED[name]
    assert found["status"] == status
    assert len(found["errors"]) == (error is not None), found["errors"]
    assert error is None or re.search(error, found["errors"][0])
    assert not found["traceback"]
    assert found["left"] == []
    # The checkpoint can be loaded and has the arms. After a worker has ended, batches in the queue are still trained on.
    assert 0 <= found["step"] <= matrix.MOMENTS["mid_S"] - matrix.EPOCH + PREPARED
