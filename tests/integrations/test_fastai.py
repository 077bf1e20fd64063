"""fastai: a Learner with a torch optimizer and clipping, stopped at every step of the sparse phase."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import dsd
from tests.integrations import runs

pytest.importorskip("fastai", reason="fastai is not installed: nox -s integrations")

from fastai.callback.core import Callback
from fastai.callback.training import GradientClip
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import SGD, OptimWrapper


class Looks(Callback):
    def __init__(self, phases: dsd.Phases, first: int, folder: Path) -> None:
        self.phases, self.first, self.folder, self.watch = phases, first, folder, runs.Watch(first)

    def after_batch(self) -> None:
        if not self.training:
            return
        done = self.first + self.train_iter  # the Learner has already counted this batch
        self.watch.look(done - 1, self.phases.masks, self.model)
        if not self.first:
            self.learn.save(self.folder / str(done))
            torch.save(self.phases.state_dict(), self.folder / f"{done}.phases.pt")


def train(folder: Path, first: int, opt: Any) -> list[Tensor]:
    phases, model, done = runs.phases(), runs.network(), first

    class DSD(Callback):
        def before_batch(self) -> None:
            if self.training:
                phases.at(done + self.train_iter, self.model, self.opt)

    data = [(x, torch.zeros(())) for x in runs.BATCHES[first : runs.STEPS].flatten(0, 1)]
    loader = torch.utils.data.DataLoader(data, batch_size=4)
    looks = Looks(phases, first, folder)
    learn = Learner(
        DataLoaders(loader, loader),
        model,
        loss_func=lambda outputs, _: runs.loss_of(outputs),
        lr=0.1,
        opt_func=opt,
        cbs=[DSD(), looks, GradientClip(runs.CLIP)],
        path=folder,
    )
    if first:
        learn.load(folder / str(first))
        phases.load_state_dict(torch.load(folder / f"{first}.phases.pt"))
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, reset_opt=False)
    looks.watch.done(model)
    return runs.bits(model.state_dict(), learn.opt.state_dict())


@pytest.mark.parametrize("opt", [partial(torch.optim.SGD, momentum=0.9), torch.optim.AdamW], ids=["sgd", "adamw"])
def test_a_run_resumed_at_any_step_equals_one_that_was_never_stopped(opt: Any, tmp_path: Path) -> None:
    wanted = train(tmp_path, 0, partial(OptimWrapper, opt=opt))
    for first in runs.STOPS:
        assert runs.same(train(tmp_path, first, partial(OptimWrapper, opt=opt)), wanted), first


def test_its_own_optimizers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Optimizer has no step hooks.* pass the torch\.optim\.Optimizer"):
        train(tmp_path, 0, SGD)
