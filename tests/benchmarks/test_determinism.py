from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from benchmarks.cli.display import Display
from benchmarks.records import store
from benchmarks.training import determinism
from benchmarks.training.interruption import InterruptedTrial, Stop
from benchmarks.training.trial import Trial
from tasks.task import Shown
from tests.benchmarks import toy
from tests.benchmarks.test_trial import StopAt

pytestmark = pytest.mark.promise(1)

WARNING = "ctc_loss_backward_gpu does not have a deterministic implementation, but you set 'warn_only=True'."


class Shaky(toy.ToyTask):
    def loss(self, model: nn.Module, batch: Tensor) -> tuple[Tensor, dict[str, Shown]]:
        warnings.warn(WARNING, UserWarning, stacklevel=1)
        return super().loss(model, batch)


def test_a_record_names_the_operations_that_are_not_deterministic(tmp_path: Path) -> None:
    met: set[str] = set()
    with determinism.noted(met):
        display = Display(Console(quiet=True), 100, toy.ERROR, toy.BATCH)
        path = Trial(toy.plan(tmp_path), Shaky(), display, Stop(), met=met).run()
    record = store.read(path)
    assert (record.deterministic, record.nondeterministic) == (False, ["ctc_loss_backward_gpu"])


def test_what_was_met_before_an_interruption_is_told_too(tmp_path: Path) -> None:
    display = Display(Console(quiet=True), 100, toy.ERROR, toy.BATCH)
    with pytest.raises(InterruptedTrial):
        Trial(toy.plan(tmp_path), toy.ToyTask(), display, StopAt(22), met={"ctc_loss_backward_gpu"}).run()
    record = store.read(Trial(toy.plan(tmp_path), toy.ToyTask(), display, Stop()).run())
    assert (record.deterministic, record.nondeterministic) == (False, ["ctc_loss_backward_gpu"])


def test_other_warnings_are_shown_as_ever() -> None:
    met: set[str] = set()
    with determinism.noted(met), pytest.raises(UserWarning, match="something else"):
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert met == set()


def test_on_a_cpu_nothing_is_changed_and_nothing_is_met() -> None:
    with determinism.demanded(torch.device("cpu")) as met:
        assert not torch.are_deterministic_algorithms_enabled()
    assert met == set()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_torch_is_asked_and_ctc_is_named() -> None:
    device = torch.device("cuda")
    with determinism.demanded(device) as met:
        assert torch.are_deterministic_algorithms_enabled()
        spoken = torch.randn(9, 2, 5, device=device, requires_grad=True).log_softmax(2)
        targets = torch.tensor([[1, 2], [3, 4]], device=device)
        nine, two = torch.tensor([9, 9], device=device), torch.tensor([2, 2], device=device)
        nn.functional.ctc_loss(spoken, targets, nine, two).backward()
    assert [name for name in met if "ctc" in name] != []
    assert not torch.are_deterministic_algorithms_enabled()
