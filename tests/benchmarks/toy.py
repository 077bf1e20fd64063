"""A domain small enough to run hundreds of trials: two-layer network with dropout on Gaussian blobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.records.schema import Hardware
from benchmarks.training.plan import Plan
from benchmarks.training.provenance import Provenance
from dsd.schedule import Phase, Schedule, StepDecay
from tasks.random_streams import derive
from tasks.recipe import Metric, Recipe, Sgd
from tasks.row import Row
from tasks.task import DataReport, Evaluation, Shown

ERROR = Metric("error", "%", lower_is_better=True)
N, BATCH = 40, 8

RECIPE = Recipe(
    network="toy",
    schedule=Schedule(
        (
            Phase("dense", epochs=2, lr=0.1, decay=StepDecay(every=1)),
            Phase("sparse", epochs=1.4, lr=0.05, sparsity=0.5),
            Phase("redense", epochs=1, lr=0.01),
        )
    ),
    skip=("0",),
    batch_size=BATCH,
    optimizer=Sgd(momentum=0.9, weight_decay=1e-3, nesterov=True),
    model=None,
    data=None,
)

ROW = Row("toy_row", "Toy", "toy", "blobs", "nothing", N, 20, ERROR, {"smoke": RECIPE, "paper": RECIPE}, {})


class ToyTask:
    """`poison` is a step of the data stream whose batch holds a NaN."""

    metric = ERROR

    def __init__(self, recipe: Recipe = RECIPE, seed: int = 0, poison: int | None = None) -> None:
        self.recipe, self.seed, self.poison = recipe, seed, poison
        self.report = DataReport("blobs", "f" * 16, {"train": N, "test": 20}, synthetic=True)
        self.served: list[int] = []
        generator = torch.Generator().manual_seed(derive(seed, "blobs"))
        self.y = torch.arange(N + 20) % 4
        self.x = torch.randn(4, 10, generator=generator)[self.y] + torch.randn(N + 20, 10, generator=generator)

    def model(self) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(derive(self.seed, "weights"))
            return nn.Sequential(
                nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 8), nn.Linear(8, 4)
            )

    def steps_per_epoch(self) -> int:
        return N // BATCH

    def indices(self, step: int) -> Tensor:
        epoch, position = divmod(step, N // BATCH)
        order = torch.randperm(N, generator=torch.Generator().manual_seed(derive(self.seed, "order", epoch)))
        return order[position * BATCH : (position + 1) * BATCH]

    def batches(self, first_step: int, last_step: int) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(first_step, last_step):
            self.served.append(step)
            x = self.x[self.indices(step)]
            yield (x * float("nan") if step == self.poison else x), self.y[self.indices(step)]

    def batch_ids(self, step: int) -> list[str]:
        return [f"sample{index}" for index in self.indices(step).tolist()]

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, dict[str, Shown]]:
        logits = model(batch[0])
        return functional.cross_entropy(logits, batch[1]), {}

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, thorough: bool) -> Evaluation:
        model.eval()
        right = (model(self.x[N:]).argmax(1) == self.y[N:]).double()
        return Evaluation({ERROR.name: 100 * (1 - float(right.mean()))}, right)

    @torch.inference_mode()
    def evaluate_training(self, model: nn.Module) -> dict[str, float]:
        model.eval()
        return {ERROR.name: 100 * float((model(self.x[:N]).argmax(1) != self.y[:N]).double().mean())}


ORIGIN = Provenance(
    commit="c" * 40,
    dirty=False,
    versions={"torch": "2.12"},
    hardware=Hardware(cpu="cpu", cores=1, threads=1, memory_gib=1.0, gpu=None, platform="Linux"),
    precision="float32",
)


def plan(
    out: Path,
    seed: int = 0,
    arms: tuple[str, ...] = ("control", "dsd", "llr", "random"),
    recipe: Recipe = RECIPE,
    origin: Provenance = ORIGIN,
) -> Plan:
    """Return a plan that writes to `out`."""
    command = "python -m benchmarks run toy_row"
    return Plan(ROW, "smoke", recipe, seed, arms, (), command, out, torch.device("cpu"), origin)
