"""How often the crossed interval covers the true gain, and how its width compares with an oracle's.

    nice -n 19 python -m tests.trust.coverage [REPLICATIONS]

writes coverage.json and coverage.md beside this file. It takes about ten minutes of a core.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from benchmarks.statistics import crossed
from tests.trust import coverage_table
from tests.trust.worlds import SEEDS, Binary, Corpus, Numbers, Tails, World

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

Cell = dict[str, Any]
"""A world, a number of seeds and the simulated coverage.

`ratio` is the standard deviation of a seed's effect, divided by the standard error of one seed's gain due to the examples.
`coverage`, `width` (the mean, divided by the oracle's width) and `others` are of two-sided 95 % intervals. `below` and `above`
are the shares of correct one-sided 95 % lower and upper bounds. `oracle` is the oracle's coverage.
"""


def simulate(replications: int = REPLICATIONS) -> Iterator[Cell]:
    """Yield every cell."""
    for number, (metric, tails, interaction) in enumerate(product(WORLDS, TAILS, INTERACTIONS)):
        for cell in _of_world(WORLDS[metric](tails, interaction), replications, np.random.default_rng([16, number])):
            yield {"metric": metric, "examples": tails, "interaction": interaction, **cell}


def _of_world(world: World, replications: int, generator: np.random.Generator) -> Iterator[Cell]:
    """Yield the cells of one world. All ratios, seeds' tails and counts of seeds share examples and outcomes."""
    drawn_sums: defaultdict[tuple[Tails, float, int], list[Numbers]] = defaultdict(list)
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
                means = (values[:, :n].mean(axis=1), effects[:, :n].mean(axis=1))
                drawn_sums[tails, ratio, n].append(np.stack([*means, *crossed.components(values[:, :n], parts[:, :n])]))
    for (tails, ratio, n), sums in drawn_sums.items():
        cell = _cell(world, n, (ratio * error) ** 2 / n, np.concatenate(sums, axis=1))
        yield {"seeds": tails, "ratio": ratio, "n": n, **cell}


def _error(world: World, generator: np.random.Generator) -> float:
    """Return the standard error of one seed's gain due to the examples, for a seed without an effect."""
    _, parts = world.gains(world.draw(_CHUNK, generator), np.zeros((_CHUNK, SEEDS)))
    return float(np.sqrt(parts.var(axis=-1, ddof=1).mean() / world.examples))


def _cell(world: World, n: int, seed_variance: float, sums: Numbers) -> Cell:
    """Return coverage and width. sums: (5, replications), estimates, seeds' mean effects and the variance components."""
    estimates, effects, seeds, examples, interaction = sums
    off = np.abs(estimates - world.truth)
    z = -special.ndtri(TAIL / 2)
    # The variance of the seeds' effects is known. The rest is measured without them, because heavy tails would add noise.
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

    def figures(half: Numbers) -> tuple[float, float]:
        return round(float((off <= half).mean()), 4), round(float(half.mean() / oracle), 3)

    coverage, relative = figures(width(TAIL))
    return {
        "coverage": coverage,
        "width": relative,
        "below": round(float((estimates - one_sided <= world.truth).mean()), 4),
        "above": round(float((estimates + one_sided >= world.truth).mean()), 4),
        "oracle": round(float((off <= oracle).mean()), 4),
        "others": {name: figures(half) for name, half in rivals.items()},
    }


def main(words: list[str]) -> None:
    """Simulate, write both files and print the summary."""
    replications = int(words[0]) if words else REPLICATIONS
    facts = {"date": datetime.now(UTC).date().isoformat(), "numpy": np.__version__, "replications": replications}
    lines = ",\n".join(f"  {json.dumps(cell)}" for cell in simulate(replications))
    content = f'{json.dumps(facts, indent=1)[:-2]},\n "cells": [\n{lines}\n ]\n}}\n'
    (HERE / "coverage.json").write_text(content, encoding="utf-8")
    text = coverage_table.render(json.loads(content))
    (HERE / "coverage.md").write_text(text, encoding="utf-8")
    print(text)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
