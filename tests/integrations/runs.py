"""A short run for every framework: the network, the sparse phase and the checks."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn

import dsd

BEGIN, END, STEPS = 2, 5, 8
SPARSE = list(range(BEGIN, END))
STOPS = range(BEGIN, END + 1)
"""A run is stopped before each of these steps: at both ends of the sparse phase, and everywhere in between."""
CLIP = 0.05
"""Far below the norms that occur, so that every step is clipped."""
BATCHES = torch.randn(STEPS * 2, 4, 12, generator=torch.Generator().manual_seed(1))


def phases() -> dsd.Phases:
    return dsd.Phases(sparsity=0.5, begin=BEGIN, end=END)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 8))


def loss_of(outputs: Tensor) -> Tensor:
    return (outputs - 1).square().mean()


def sgd(parameters: Iterable[Any]) -> torch.optim.SGD:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=1e-2)


class Watch:
    """Checks every step of the sparse phase: exactly the pruned weights are +0.0, and their number is right.

    All processes must have the same masks.
    """

    def __init__(self, first: int) -> None:
        self.first, self.seen = first, list[int]()

    def look(self, step: int, masks: Mapping[str, Tensor] | None, model: nn.Module) -> None:
        if masks is None:
            return
        self.seen.append(step)
        assert sum(int((~kept).sum()) for kept in masks.values()) == (12 * 16 + 16 * 8) // 2
        for name, kept in masks.items():
            weight = dict(model.named_parameters())[name].detach()
            assert not weight[~kept].any()
            assert not weight[~kept].signbit().any()
            assert weight[kept].all()
            if dist.is_available() and dist.is_initialized():
                held = [torch.empty_like(kept, dtype=torch.uint8) for _ in range(dist.get_world_size())]
                dist.all_gather(held, kept.to(torch.uint8))
                assert all(torch.equal(one.bool(), kept) for one in held)

    def done(self, model: nn.Module) -> None:
        """Check at the end that every step of the phase was seen and that no weight is zero."""
        assert self.seen == SPARSE[max(self.first - BEGIN, 0) :]
        assert all(weight.all() for weight in model.parameters())


def bits(*states: Any) -> list[Tensor]:
    """Return a copy of all tensors in model and optimizer states, in order."""
    return [tensor.detach().clone() for state in states for tensor in _tensors(state)]


def _tensors(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, Mapping):
        for value in state.values():
            yield from _tensors(value)
    elif isinstance(state, list | tuple):
        for value in state:
            yield from _tensors(value)


def same(found: list[Tensor], wanted: list[Tensor]) -> bool:
    return len(found) == len(wanted) > 3 and all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


class Run(Protocol):
    """A run in a plain training loop."""

    phases: dsd.Phases
    plain: nn.Module

    def step(self, step: int) -> None: ...

    def states(self) -> dict[str, Any]: ...

    def load(self, states: dict[str, Any]) -> None: ...


def resumes_at_every_step(make: Callable[[], Run], ended: Callable[[dict[str, Any]], None] = lambda end: None) -> None:
    """Run once completely, then resume from a checkpoint at every step of the sparse phase. All must end with the same bits.

    `ended` gets the states at the end of every run.
    """
    saved: dict[int, bytes] = {}

    def run(first: int, run: Run) -> list[Tensor]:
        watch = Watch(first)
        for i in range(first, STEPS):
            if not first:
                file = io.BytesIO()
                torch.save(run.states(), file)
                saved[i] = file.getvalue()
            run.step(i)
            watch.look(i, run.phases.masks, run.plain)
        watch.done(run.plain)
        ended(run.states())
        return bits(run.states())

    wanted = run(0, make())
    for first in STOPS:
        other = make()
        other.load(torch.load(io.BytesIO(saved[first]), weights_only=True))
        assert same(run(first, other), wanted), first
