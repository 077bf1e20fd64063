"""The evidence plan: rows, data, arms, seeds and gate thresholds. Each plan of a row is committed before its first trial.

Each row is trained with its small-scale recipe, which states how it is reduced. A verdict needs a gate that holds and exactly
the seeds 0 to `seeds` - 1. A row may be re-planned once, and only if its gate failed. Finished trials of the first
attempt stay in the tables. The commit that a record names contains the plan that its trial follows.

VGG-16 and DeepSpeech were re-planned after one finished trial of five, which failed the gate. DeepSpeech's seed 1 was stopped
after D, without a record (see the READMEs of `tasks/imagenet` and `tasks/librispeech`). They get no further plan.

One row broke this rule: DeepSpeech 2 was planned three times, and its first trial was stopped without a record (see
`tasks/librispeech/README.md`, Probes). Seed 0 of the third plan, taken alone, fails the gate too. There is no further plan: all ten
seeds run, and the gate is judged on their mean.
"""

from __future__ import annotations

import dataclasses
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
    """Whether a row's networks have trained long enough for the claim, from D, `control` and `llr` only (see `analysis.gate`).

    Attributes:
        chance: the score of guessing: the `fit` score, on training examples, of a prediction from the answers' frequencies only.
        fit: the metric that, on training examples, must be at most half of `chance` and better than `beside` on test examples.
        beside: the name of the same metric on held-out examples; usually the same name.
        saturated: the control's error must be above this, in percent; None if the metric is not an error.
        undertrained: whether a gain of `llr` over D as large as the claim fails the gate, or is only reported.
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
        data, weights: the data set's folder and the frozen network's file, inside the folder given by `--data`.
        examples: the number and kind of its training and test examples.
        seeds: the number of seeds, starting at 0.
        hours: expected core-hours per trial; replaced by measurements once trials ran on the same kind of hardware.
        spread: expected standard deviation of the gain over seeds, in metric points; replaced by measurement from three seeds on.
        secondary: whether the group answers a secondary question. Its trials start after all trials of other groups have started.
    """

    row: str
    data: str
    arms: tuple[ArmName, ...]
    gate: Gate
    examples: str
    seeds: int = 5
    hours: float = 1.0
    spread: float = 0.3
    weights: str | None = None
    label_noise: float | None = None
    secondary: bool = False

    @property
    def recipe(self) -> Recipe:
        """The recipe of its trials."""
        return ROWS[self.row].recipe("small", **self.changes)

    @property
    def changes(self) -> dict[str, Any]:
        """The options that change the row's own recipe."""
        return {} if self.label_noise is None else {"label_noise": self.label_noise}

    @property
    def claim(self) -> float:
        """The paper's gain as a share of the figure that it improves on (`benchmarks.paper.claim_of`)."""
        return claim_of(paper.ROWS[self.row]).share

    def covers(self, record: Record) -> bool:
        """Return whether a trial, finished or not, belongs to this group."""
        given = record.dense is not None and record.dense.source != "trained"
        facts = (record.numerics, record.row, record.scale, record.data.name, record.data.subset, record.recipe_hash)
        wanted = (ROWS[self.row].numerics, self.row, "small", self.data, 1.0, self.recipe.hash())
        return facts == wanted and record.hardware.processes == 1 and record.precision != BFLOAT16 and not given

    @property
    def title(self) -> str:
        """The display name."""
        kinds = [f"{self.label_noise:.0%} wrong labels"] if self.label_noise else []
        if set(self.arms) & set(SENSITIVITY) - {"control-text", "dsd-text"}:
            kinds.append("sensitivity")
        return ROWS[self.row].title + (f" ({', '.join(kinds)})" if kinds else "")


_TINY, _PICTURES = "tiny-imagenet-50", "7,500 training, 18,000 test pictures"
_UTTERANCES = "1,560 training, 756 test utterances"
_TOP1 = Gate(chance=98.0, fit="top1_error", beside="top1_error")  # 50 equally frequent classes
# exp(entropy) of Flickr8k's training captions: 345,249 words and end tokens, rare words dropped.
_CAPTIONS = Gate(chance=175.4, fit="perplexity", beside="val_perplexity", saturated=None)
# An empty transcript gets every word wrong. The paper's own DeepSpeech 2 improves further with longer training.
_WORDS = Gate(chance=100.0, fit="wer", beside="wer", undertrained=False)

WANTED: tuple[Wanted, ...] = (
    Wanted(
        "imagenet_resnet18",
        _TINY,
        arms=("control", "dsd", "llr", "control-text", "dsd-text"),
        gate=_TOP1,
        examples=_PICTURES,
        hours=1.1,
        spread=0.24,
    ),
    Wanted(
        "imagenet_resnet50",
        _TINY,
        arms=("control", "dsd", "llr"),
        gate=_TOP1,
        examples=_PICTURES,
        hours=2.0,
        spread=0.32,
    ),
    Wanted(
        "imagenet_googlenet",
        _TINY,
        arms=("control", "dsd", "llr", "random"),
        gate=_TOP1,
        examples=_PICTURES,
        hours=1.6,
        spread=0.32,
    ),
    Wanted(
        "imagenet_vgg16",
        _TINY,
        arms=("control", "dsd", "llr", "random"),
        gate=_TOP1,
        examples=_PICTURES,
        hours=2.7,
        spread=0.8,
    ),
    Wanted(
        "flickr8k_neuraltalk",
        "flickr8k",
        arms=("control", "dsd", "llr", "control-text", "dsd-text", "random"),
        gate=_CAPTIONS,
        examples="6,000 training, 1,000 test pictures",
        hours=1.4,
        spread=0.32,
        weights="squeezenet1_0-imagenet-pruned.safetensors",
    ),
    Wanted(
        "librispeech_deepspeech",
        "noisy-digits-5db",
        arms=("control", "dsd", "llr"),
        gate=_WORDS,
        examples=_UTTERANCES,
        hours=2.8,
        spread=0.8,
    ),
    Wanted(
        "librispeech_deepspeech2",
        "noisy-digits-0db",
        arms=("control", "dsd", "llr"),
        gate=_WORDS,
        examples=_UTTERANCES,
        seeds=10,
        hours=2.1,
        spread=0.55,
    ),
)
"""Seven rows on data that downloads in minutes, with networks small enough to train on a CPU."""

PLANNED: Mapping[str, Wanted] = {name: wanted for name in paper.ROWS for wanted in WANTED if wanted.row == name}
"""Row to its planned trials, in the paper's order. Rows that are not planned are absent."""


def _sensitivity(row: str, sparsities: tuple[ArmName, ...], hours: float) -> Wanted:
    """Return a group of three seeds of a planned row with more arms. Its trials replace the planned ones with these seeds.

    The planned arms are trained again. On the same kind of machine they give the same results. On another kind they do not, and
    the row loses its verdict, because seeds were trained twice with different results.
    """
    others = ("dsd-twice", "dsd-keep", "control-keep", "swa", "sam", "acdc")
    main = PLANNED[row]
    return dataclasses.replace(main, arms=(*main.arms, *sparsities, *others), seeds=3, hours=hours, secondary=True)


SECONDARY: tuple[Wanted, ...] = (
    _sensitivity("imagenet_resnet18", ("dsd-10", "dsd-50", "dsd-70", "dsd-90"), hours=3.3),
    _sensitivity("flickr8k_neuraltalk", ("dsd-10", "dsd-30", "dsd-50", "dsd-70", "dsd-90"), hours=4.0),
    dataclasses.replace(
        PLANNED["imagenet_resnet18"],
        arms=("control", "dsd", "llr"),
        label_noise=0.2,
        hours=0.7,
        secondary=True,
    ),
)
"""Sensitivity to the recipe, and wrong labels. No verdict depends on these trials."""
