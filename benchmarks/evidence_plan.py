"""The plan of the evidence: rows, data, arms, seeds, thresholds of the gate. Committed before a row's first trial.

Each row is trained by its recipe of small scale, which states the reduction. A verdict needs a row whose gate holds and exactly
the seeds 0 to `seeds` - 1. A row may be planned anew once, only because its gate failed; `attempt` then says 2 and the first
attempt stays in the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import paper
from benchmarks.arms.registry import SENSITIVITY, ArmName
from benchmarks.paper import claim_of
from benchmarks.records.schema import Record
from benchmarks.rows import BFLOAT16, ROWS
from tasks.recipe import Recipe


@dataclass(frozen=True)
class Gate:
    """When a row's networks are in the regime of the claim, told by D, `control` and `llr` alone (see `benchmarks.analysis.gate`).

    Attributes:
        chance: the score of a guess that knows how frequent each answer is and nothing else, in `fit` on training examples.
        fit: the score on training examples that must be at most half of chance, and better than `beside` on test examples.
        beside: the same score on examples that nobody trains on; the row's own metric where it is not another.
        saturated: the control must be above this error, in percent; None for a metric that is no error.
        undertrained: whether a gain of `llr` over D as large as the claim fails the gate, or is only told.
    """

    chance: float
    fit: str
    beside: str
    saturated: float | None = 2.0
    undertrained: bool = True


@dataclass(frozen=True)
class Wanted:
    """A group of trials of one row at small scale.

    Attributes:
        data, weights: the data set's folder and the frozen network's file, in the folder that `--data` names.
        seeds: how many, from 0 on.
        hours: of one core for a trial, until trials on the same kind of hardware tell it.
        spread: the expected standard deviation of a seed's gain over the control, in the metric's points, until three tell it.
        waits: why no trial may start yet; empty where one may.
        attempt: 2 where the row was planned anew because its gate failed.
    """

    row: str
    data: str
    arms: tuple[ArmName, ...]
    gate: Gate
    seeds: int = 5
    hours: float = 1.0
    spread: float = 0.3
    weights: str | None = None
    label_noise: float | None = None
    waits: str = ""
    attempt: int = 1

    @property
    def recipe(self) -> Recipe:
        """The recipe that its trials have."""
        return ROWS[self.row].recipe("small", **self.changes)

    @property
    def changes(self) -> dict[str, Any]:
        """The options that make its recipe another than the row's own."""
        return {} if self.label_noise is None else {"label_noise": self.label_noise}

    @property
    def claim(self) -> float:
        """The paper's gain as a share of the figure that it improves on, as of `benchmarks.paper.claim_of`."""
        return claim_of(paper.ROWS[self.row]).share

    def covers(self, record: Record) -> bool:
        """Return whether a trial, finished or not, is one of this group."""
        given = record.dense is not None and record.dense.source != "trained"
        facts = (record.numerics, record.row, record.scale, record.data.name, record.data.subset, record.recipe_hash)
        mine = (ROWS[self.row].numerics, self.row, "small", self.data, 1.0, self.recipe.hash())
        return facts == mine and record.hardware.processes == 1 and record.precision != BFLOAT16 and not given

    @property
    def title(self) -> str:
        """What a reader calls it."""
        kinds = [f"{self.label_noise:.0%} wrong labels"] if self.label_noise else []
        if set(self.arms) & set(SENSITIVITY) - {"control-text", "dsd-text"}:
            kinds.append("sensitivity")
        return ROWS[self.row].title + (f" ({', '.join(kinds)})" if kinds else "")


_TINY = "tiny-imagenet-50"
_TOP1 = Gate(chance=98.0, fit="top1_error", beside="top1_error")  # of 50 classes, equally frequent
# The exponential of the entropy of Flickr8k's training captions: 345,249 words and ends, rare words dropped.
_CAPTIONS = Gate(chance=175.4, fit="perplexity", beside="val_perplexity", saturated=None)
# Silence is wrong in every word. The paper's own DeepSpeech 2 goes on improving when it is trained on.
_WORDS = Gate(chance=100.0, fit="wer", beside="wer", undertrained=False)

WANTED: tuple[Wanted, ...] = (
    Wanted(
        "imagenet_resnet18",
        _TINY,
        arms=("control", "dsd", "llr", "control-text", "dsd-text"),
        gate=_TOP1,
        hours=1.1,
        spread=0.24,
    ),
    Wanted("imagenet_resnet50", _TINY, arms=("control", "dsd", "llr"), gate=_TOP1, hours=2.0, spread=0.32),
    Wanted("imagenet_googlenet", _TINY, arms=("control", "dsd", "llr", "random"), gate=_TOP1, hours=1.6, spread=0.32),
    Wanted(
        "imagenet_vgg16",
        _TINY,
        arms=("control", "dsd", "llr", "random"),
        gate=_TOP1,
        hours=0.8,
        spread=0.8,
    ),
    Wanted(
        "flickr8k_neuraltalk",
        "flickr8k",
        arms=("control", "dsd", "llr", "control-text", "dsd-text", "random"),
        gate=_CAPTIONS,
        hours=1.4,
        spread=0.32,
        weights="squeezenet1_0-imagenet-pruned.safetensors",
    ),
    Wanted(
        "librispeech_deepspeech",
        "noisy-digits-10db",
        arms=("control", "dsd", "llr"),
        gate=_WORDS,
        hours=1.8,
        spread=0.8,
        waits="no recipe yet that learns from every seed",
    ),
    Wanted(
        "librispeech_deepspeech2",
        "noisy-digits-0db",
        arms=("control", "dsd", "llr"),
        gate=_WORDS,
        seeds=10,
        hours=1.9,
        spread=0.55,
    ),
)
"""Seven rows, on data that one downloads in minutes, at a size that a CPU trains."""

PLANNED: Mapping[str, Wanted] = {
    name: one for name in paper.ROWS for one in WANTED if one.row == name and one.label_noise is None
}
"""Row to its trials on the data as they are, in the paper's order. A row of the paper that nobody planned is not here."""
