"""How often the crossed interval covers the true gain, and how wide it is beside an oracle's.

    nice -n 19 python -m benchmarks.perf.coverage [REPLICATIONS]

writes coverage.json and coverage.md beside this file. One thread; some ten minutes of a core.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from scipy import special

from benchmarks.perf import coverage_table
from benchmarks.perf.worlds import SEEDS, Binary, Corpus, Numbers, Tails, World
from benchmarks.statistics import crossed

HERE = Path(__file__).parent
REPLICATIONS = 12_000
RATIOS = (0.0, 0.3, 1.0, 3.0)
COUNTS = (3, 5, 10)
INTERACTIONS = (0.1, 0.5, 1.0)
TAILS: tuple[Tails, ...] = ("light", "heavy")
WORLDS: dict[str, Callable[[Tails, float], World]] = {
    "binary": Binary,
    "WER": partial(Corpus, 1),
    "BLEU": partial(Corpus, 4),
}
TAIL = 0.05
_CHUNK = 200


@dataclass(frozen=True)
class Cell:
    """What was found in one cell. `ratio` is a seed's effect over the error that the examples give one seed's gain.

    `coverage`, `width` (mean, over the oracle's) and those of other intervals are of two-sided 95 % ones; `below` and `above` say
    how often the one-sided 95 % bound lay on the right side of the true gain. `oracle` is the oracle's coverage.
    """

    metric: str
    examples: Tails
    interaction: float
    seeds: Tails
    ratio: float
    n: int
    coverage: float
    width: float
    below: float
    above: float
    oracle: float
    others: dict[str, tuple[float, float]]


@dataclass
class Sums:
    """What a cell's replications gave: estimates and their components, each (replications,)."""

    estimates: list[Numbers]
    seeds: list[Numbers]
    examples: list[Numbers]
    interaction: list[Numbers]
    effects: list[Numbers]


def simulate(replications: int = REPLICATIONS) -> Iterator[Cell]:
    """Yield every cell."""
    for number, (metric, tails, interaction) in enumerate(product(WORLDS, TAILS, INTERACTIONS)):
        world = WORLDS[metric](tails, interaction)
        yield from _of_world(metric, world, replications, np.random.default_rng([16, number]))


def _of_world(metric: str, world: World, replications: int, generator: np.random.Generator) -> Iterator[Cell]:
    """Yield the cells of one world: the same examples and outcomes for all ratios, seeds' tails and counts of seeds."""
    found: dict[tuple[Tails, float, int], Sums] = {}
    error = _error(world, generator)
    for start in range(0, replications, _CHUNK):
        size = min(_CHUNK, replications - start)
        drawn = world.draw(size, generator)
        unit: dict[Tails, Numbers] = {
            "light": generator.standard_normal((size, SEEDS)),
            "heavy": generator.standard_t(3, (size, SEEDS)) / np.sqrt(3),  # of variance 1
        }
        for tails, ratio in product(TAILS, RATIOS):
            effects = ratio * error * unit[tails]
            values, parts = world.gains(drawn, effects)
            for n in COUNTS:
                sums = found.setdefault((tails, ratio, n), Sums([], [], [], [], []))
                sums.estimates.append(values[:, :n].mean(axis=1))
                sums.effects.append(effects[:, :n].mean(axis=1))
                for kept, part in zip(
                    (sums.seeds, sums.examples, sums.interaction),
                    crossed.components(values[:, :n], parts[:, :n]),
                    strict=True,
                ):
                    kept.append(part)
    for (tails, ratio, n), sums in found.items():
        yield _cell(metric, world, tails, ratio, n, (ratio * error) ** 2 / n, sums)


def _error(world: World, generator: np.random.Generator) -> float:
    """Return the standard error that the examples give the gain of one seed without an effect."""
    _, parts = world.gains(world.draw(_CHUNK, generator), np.zeros((_CHUNK, SEEDS)))
    return float(np.sqrt(parts.var(axis=-1, ddof=1).mean() / world.examples))


def _cell(metric: str, world: World, tails: Tails, ratio: float, n: int, seed_variance: float, sums: Sums) -> Cell:
    estimates, seeds, examples, interaction, effects = (
        np.concatenate(found) for found in (sums.estimates, sums.seeds, sums.examples, sums.interaction, sums.effects)
    )
    off = np.abs(estimates - world.truth)
    z = -special.ndtri(TAIL / 2)
    # The rest's variance is measured without the seeds' effects, whose own is known: heavy tails would make it uncertain.
    oracle = z * np.sqrt(seed_variance + np.var(estimates - effects))
    width = partial(crossed.half_width, seeds, examples, interaction, n, world.examples)
    one_sided = width(2 * TAIL)
    t = -special.stdtrit(n - 1, TAIL / 2)
    floored = np.maximum(seeds + examples - interaction, examples)
    degrees = floored**2 / np.maximum(seeds**2 / (n - 1) + examples**2 / (world.examples - 1), 1e-300)
    rivals: dict[str, Numbers] = {
        "crossed, at least that over examples": np.maximum(width(TAIL), z * np.sqrt(examples)),
        "over seeds": t * np.sqrt(seeds),
        "over examples": z * np.sqrt(examples),
        "both, added up": t * np.sqrt(seeds + examples),
        "Satterthwaite": np.asarray(-special.stdtrit(degrees, TAIL / 2) * np.sqrt(floored), dtype=np.float64),
    }

    def told(half: Numbers) -> tuple[float, float]:
        return round(float((off <= half).mean()), 4), round(float(half.mean() / oracle), 3)

    coverage, relative = told(width(TAIL))
    return Cell(
        metric=metric,
        examples=world.tails,
        interaction=world.interaction,
        seeds=tails,
        ratio=ratio,
        n=n,
        coverage=coverage,
        width=relative,
        below=round(float((estimates - one_sided <= world.truth).mean()), 4),
        above=round(float((estimates + one_sided >= world.truth).mean()), 4),
        oracle=round(float((off <= oracle).mean()), 4),
        others={name: told(half) for name, half in rivals.items()},
    )


def main(words: list[str]) -> None:
    """Simulate, write, print the summary."""
    replications = int(words[0]) if words else REPLICATIONS
    cells = [asdict(cell) for cell in simulate(replications)]
    told = {
        "date": datetime.now(UTC).date().isoformat(),
        "numpy": np.__version__,
        "replications": replications,
        "cells": cells,
    }
    lines = ",\n".join(f"  {json.dumps(cell)}" for cell in cells)
    head = json.dumps({key: value for key, value in told.items() if key != "cells"}, indent=1)
    (HERE / "coverage.json").write_text(f'{head[:-2]},\n "cells": [\n{lines}\n ]\n}}\n', encoding="utf-8")
    text = coverage_table.render(json.loads((HERE / "coverage.json").read_text(encoding="utf-8")))
    (HERE / "coverage.md").write_text(text, encoding="utf-8")
    print(text)  # noqa: T201


if __name__ == "__main__":
    for library in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(library, "1")
    main(sys.argv[1:])
