"""Golden records of the captioning row: made-up counts of matching words, and the scores computed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.records import example_outcomes
from benchmarks.records.schema import Arm, Dense, PhaseResult, Point, Record
from benchmarks.statistics.bootstrap import Bootstrap, score

PICTURES = (
    "1000268201_693b08cb0e.jpg",
    "1001773457_577c3a7d70.jpg",
    "a_picture_with_a_name_that_is_much_too_long_for_one_line_" * 2 + ".jpg",
)
_REFERENCE = "a child in a pink dress is climbing up a set of stairs in an entry way | with a pipe, $5 and $6 and 100 %"
_POINTS = 2  # points of the curve in each phase


def counts(quality: int) -> NDArray[np.float64]:
    """Return (100, 8) counts: matching n-grams of one to four words, then all n-grams. `quality` captions match four words."""
    example = np.arange(100)
    totals = 8 + example[:, None] % 4 - np.arange(4)
    hits = np.stack([5 - example % 2, 2 + example % 2, 1 + (example < quality), example < quality], axis=1)
    return np.hstack([hits, totals]).astype(np.float64)


def metrics(quality: int, perplexity: float, thorough: bool) -> dict[str, float]:
    """Return the metrics that the task reports, with those of beam size 20 if `thorough`."""
    outcomes, penalty = counts(quality), 0.9
    plain = {f"bleu{n}": score(np.hstack([outcomes[:, :n], outcomes[:, 4 : 4 + n]])) for n in range(1, 5)}
    found = plain | {f"{name}_standard": value * penalty for name, value in plain.items()}
    found |= {"brevity_penalty": penalty, "caption_words": 9.5}
    beam = {f"beam20_{name}": value + 1.0 for name, value in found.items() if name.startswith("bleu")}
    return {
        name: round(value, 6)
        for name, value in {**found, "val_perplexity": perplexity, **(beam if thorough else {})}.items()
    }


def captioned(plain: Record, quality: Mapping[str, Sequence[tuple[int, float]]]) -> Record:
    """Return the record `plain`, which has the arms and phases, with the scores of the captioning row.

    `quality` maps every arm and "dense" to its quality and perplexity at each of two points per phase.
    """
    assert plain.dense is not None
    arms = {name: Arm(**_scored(arm, quality[name])) for name, arm in plain.arms.items()}
    gain = arms["dsd"].test["bleu4"] - arms["control"].test["bleu4"]
    changed: dict[str, Any] = {
        "unit": "%",
        "dense": Dense(**_scored(plain.dense, quality["dense"]), source="trained", sha256=None),
        "arms": arms,
        "bootstrap": {"dsd": Bootstrap(mean=gain, low=gain - 0.3, high=gain + 0.3, resamples=100)},
        "data": plain.data.model_copy(
            update={"counts": {"train": 600, "test": 100}, "features": "fixture network, 512 numbers a picture"}
        ),
        "recipe": plain.recipe | {"optimizer": {"type": "RmsProp", "alpha": 0.999, "eps": 1e-8}},
    }
    return plain.model_copy(update=changed).sealed()


def _scored(arm: Arm, quality: Sequence[tuple[int, float]]) -> dict[str, Any]:
    assert len(quality) == _POINTS * len(arm.phases)
    phases: list[PhaseResult] = []
    curve: list[Point] = []
    for phase in arm.phases:
        for part in range(1, _POINTS + 1):
            good, perplexity = quality[len(curve)]
            test = metrics(good, perplexity, thorough=part == _POINTS)
            epoch = sum(p.epochs for p in phases) + phase.epochs * part / _POINTS
            train = {"loss": 2.5 * perplexity, "perplexity": perplexity - 1}
            curve.append(Point(step=round(10 * epoch), epoch=epoch, lr=0.1, train=train, test=test))
        phases.append(phase.model_copy(update={"test": curve[-1].test}))
    samples = [
        {
            "picture": picture,
            "reference": _REFERENCE,
            "caption": f"a caption of quality {quality[-1][0]} for {number} dogs",
        }
        for number, picture in enumerate(PICTURES)
    ]
    samples[-1]["caption"] = ""
    return {
        **arm.model_dump(exclude={"source", "sha256"}),
        "phases": phases,
        "curve": curve,
        "test": curve[-1].test,
        "outcomes": example_outcomes.pack_outcomes(counts(quality[-1][0])),
        "samples": samples,
        "first_step_in_lr": [0.5 + 0.1 * number for number in range(len(arm.phases))],
    }
