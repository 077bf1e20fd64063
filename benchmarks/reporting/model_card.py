"""The README of a trial's released networks, made from its record."""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Sequence

from tabulate import tabulate

from benchmarks import rows
from benchmarks.analysis import metrics
from benchmarks.datasets import DATASETS
from benchmarks.records.networks import Network
from benchmarks.records.schema import Record

_CARD = """\
---
license: apache-2.0
library_name: pytorch
tags: [dense-sparse-dense, pruning, sparsity]
---

# {title} on {data}, with and without Dense-Sparse-Dense training

The networks of one trial, seed {seed}, of a benchmark suite that tests
[Dense-Sparse-Dense training](https://arxiv.org/abs/1607.04381) (DSD; Han et al., ICLR 2017). D trains the network. S prunes the
smallest weights and trains the rest. D2 removes the mask; the pruned weights start from zero and train again. The control trains
from the same D on the same batches without a mask.

{table}

Scores are those on the test set after the last step, as in the record `{id}.json`, which also has curves, costs and all settings.

## How they were trained

{facts}

Recipe `{recipe_hash}`, with the sources of its values and what is not as published:

{notes}

## Files

- `*.safetensors`: all tensors of a network by name, as the trial saved them.
- `*.mask.safetensors`: the mask of a sparse phase; bool, with the name and shape of its weight, True where kept. Weights
  without a mask were not pruned.
- `SHA256SUMS`: checksums of all files here.

## Load

In a checkout of the suite, with the data set in the current folder (`python -m benchmarks prepare` makes it):

```python
from pathlib import Path
from safetensors.torch import load_file
from benchmarks.api import Evaluate, load
network = load(Evaluate("{row}", "dsd.safetensors", {arguments}))
masks = load_file("dsd-sparse1.mask.safetensors")
```

## Verify

```
sha256sum -c SHA256SUMS
python -m benchmarks verify --record {id}.json
python -m benchmarks evaluate {row} --model dsd.safetensors {flags}
```

`evaluate` prints the scores of the table. Other hardware may round differently, which can change the last digits.

## Intended use and limits

For checking the suite's results, and for studying what pruning and regrowing does to weights. Not for any other use.

- {scale}
- One seed. Which of these networks scores better says nothing about the method: the suite's tables have all seeds, with intervals.
- Tested only on the test set of this data.

## Licence

The files are under Apache-2.0, as the suite is. The terms of the data apply beside it:

{licences}
"""

_SCALES = {
    "smoke": "Trained on generated data for a test of the suite: the network knows nothing of the world.",
    "small": "Smaller than the paper's network, or trained on less data: scores do not compare with published ones.",
    "paper": "Trained with the paper's recipe; the list above says where it departs from the paper.",
}


def card(record: Record, networks: Sequence[Network], flags: str, arguments: str) -> str:
    """Return the model card in Markdown. `flags` and `arguments` are what `evaluate` and `Evaluate` take after row and model."""
    reduction = record.recipe.get("reduction")
    return _CARD.format(
        title=rows.row(record.row).title + (f" ({reduction})" if reduction else ""),
        data=record.data.name,
        seed=record.seed,
        table=_table(record, networks),
        id=record.id,
        facts=_bullets(_facts(record)),
        recipe_hash=record.recipe_hash,
        notes=_bullets(record.recipe.get("notes", ())),
        row=record.row,
        flags=flags,
        arguments=arguments,
        scale=_SCALES[record.scale],
        licences=_bullets(_licences(record)),
    )


def _table(record: Record, networks: Sequence[Network]) -> str:
    """Return the networks and their main scores, with the digits that `evaluate` prints."""
    names = metrics.ordered(name for name in networks[-1].test if not metrics.family(name))
    headings = [metrics.with_unit(name, metrics.unit(name, record.metric, record.unit)) for name in names]
    lines = []
    for one in networks:
        scores = (f"{one.test[name]:.3f}" if name in one.test else "-" for name in names)
        layers = one.mask or []
        pruned = sum(layer.weights - layer.kept for layer in layers)
        share = f"{pruned:,} of {sum(layer.weights for layer in layers):,}" if layers else "-"
        lines.append([f"`{one.name}.safetensors`", one.stage, share, *scores])
    return str(
        tabulate(lines, ["file", "network", "pruned weights", *headings], tablefmt="pipe", disable_numparse=True)
    )


def _facts(record: Record) -> list[str]:
    data, machine = record.data, record.hardware
    counts = ", ".join(f"{count:,} {name}" for name, count in data.counts.items())
    changed = ", with uncommitted changes" if record.dirty else ""
    device = machine.gpu or f"{machine.cpu}, threads: {machine.threads}"
    return [
        f"Data: {data.name}, {counts}, fingerprint `{data.fingerprint}`" + (" (generated)" if data.synthetic else ""),
        *([f"Features: {data.features}"] if data.features else []),
        *(f"Data: {warning}" for warning in data.warnings),
        f"Command: `{record.command}`",
        f"Commit `{record.commit or 'unknown'}`{changed}; suite {record.suite}, numerics {record.numerics}",
        f"torch {record.versions['torch']}, {record.precision}, on {device}, {record.cost.seconds / 3600:.1f} hours with all arms",
        *([f"Overrides: {', '.join(record.custom)}"] if record.custom else []),
    ]


def _licences(record: Record) -> list[str]:
    """Return the licences of the data sets and frozen networks that the trial's command names."""
    words = shlex.split(record.command)
    used = [one for one in DATASETS.values() if fnmatch.filter(words, one.made.replace("{snr}", "*"))]
    found = [f"{source.name} ({source.url}): {source.licence}" for one in used for source in one.sources]
    return found or ["none: generated data" if record.data.synthetic else f"{record.data.name}: see its publisher"]


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) or "- not at all"
