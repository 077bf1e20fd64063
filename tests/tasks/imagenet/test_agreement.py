"""Speed does not cost accuracy: our step and that of a plain loop train the same network from one seed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.arms.arm import ArmPlan
from benchmarks.perf.peers import imagenet as plain
from benchmarks.training.learner import Learner, make_optimizer
from tasks.imagenet import synthetic, task
from tasks.imagenet.recipes import RECIPES


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "set"
    synthetic.generate(path, train=12, val=1, size=40)
    return path


@pytest.mark.parametrize(("dtype", "steps", "bound"), [(torch.float64, 6, 1e-9), (torch.float32, 1, 1e-5)])
def test_our_step_and_the_plain_loop_have_the_same_losses(
    dtype: torch.dtype, steps: int, bound: float, root: Path
) -> None:
    """Layout and optimizer differ, so sums have another order, and every training step amplifies the rounding differences.

    In float32 the losses differ by about 0.003 after one step and 0.2 after three. float64 shows that only rounding causes this.
    """
    recipe = RECIPES["imagenet_resnet18"]["smoke"]
    source = task.open_data(recipe, root, 1.0, lambda what, done, total: None)
    one = task.build(recipe, source, 3, torch.device("cpu"), 0)
    ours = one.model().to(dtype)
    theirs = one.model().to(dtype, memory_format=torch.contiguous_format)
    weights = [next(model.parameters()) for model in (ours, theirs)]
    assert [weight.is_contiguous(memory_format=torch.channels_last) for weight in weights] == [True, False]
    learner = Learner(ArmPlan("dense", recipe.schedule), one, ours, make_optimizer(recipe, ours))
    step = plain.trainer(theirs, recipe)
    losses, apart = [], []
    for x, y in one.batches(0, steps):
        learner.train_step((x.to(dtype), y), 0)
        learner.read()
        losses.append(learner.journal.take_unread()[-1]["loss"])
        apart.append(abs(losses[-1] - step(x.to(dtype).contiguous(), y)))
    assert max(apart) <= bound
    assert steps == 1 or max(losses) - min(losses) > 0.1  # it trains
