"""Trainers under DistributedDataParallel: two processes hold the same masks, and resume together."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.dsd.processes import run_two
from tests.integrations import runs

pytestmark = pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="gloo was not built in")


@pytest.mark.parametrize("trainer", ["lightning", "transformers"])
def test_a_run_resumed_inside_the_sparse_phase_or_at_its_end_equals_one_that_was_never_stopped(
    trainer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(trainer, reason=f"{trainer} is not installed: nox -s integrations")
    monkeypatch.setenv("TRAINER", trainer)
    first, second = run_two(str(Path(__file__).with_name("process_worker.py")), tmp_path)
    assert runs.same(first, second)
