"""Plain torch: DistributedDataParallel, torch.compile, GradScaler and AveragedModel at once, on two processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.dsd.processes import run_two
from tests.integrations import runs

pytestmark = pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="gloo was not built in")


def test_a_run_resumed_at_any_step_equals_one_that_was_never_stopped(tmp_path: Path) -> None:
    first, second = run_two(str(Path(__file__).with_name("plain_worker.py")), tmp_path)
    assert first["runs"] == second["runs"] == 1 + len(runs.STOPS)
    assert runs.same(runs.bits(second["model"]), runs.bits(first["model"]))
