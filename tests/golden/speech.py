"""Golden records of a speech row with two iterations: made-up counts of errors, and the rates computed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.records.example_outcomes import pack_outcomes
from benchmarks.records.schema import (
    MOMENTS,
    Arm,
    Clipping,
    Dense,
    Histogram,
    Histograms,
    LayerMask,
    Moment,
    PhaseResult,
    Record,
    Regrown,
)
from benchmarks.statistics.bootstrap import Bootstrap, score

UTTERANCES = 40
WORDS = 260
REFERENCE = "seven red birds sat on a fence"
TRANSCRIPTS = {
    "dense": "seven birds sat on a",
    "control": REFERENCE,
    "dsd": "seven red birds sat on the fence today",
    "llr": "seven",
    "random": "",
}
_SPARSITIES = (0.5, 0.25)  # of the first and the second sparse phase
_LAYERS = {"recurrent.weight": 400, "fc.weight": 200}
_AGAIN = {"recurrent.weight": 80, "fc.weight": 30}
"""The numbers of weights that the second sparse phase prunes again, of the 200 and 100 that the first one pruned."""


def counts(errors: int) -> NDArray[np.float64]:
    """Return (40, 2) counts of right words and of all words (260). Eight of the `errors` are added to the first utterance."""
    example = np.arange(UTTERANCES)
    wrong = np.bincount((7 * np.arange(errors - 8) + 3) % UTTERANCES, minlength=UTTERANCES) + 8 * (example == 0)
    words = 5 + example % 4
    return np.stack([words - wrong, words], axis=1).astype(np.float64)


def metrics(errors: int) -> dict[str, float]:
    """Return the metrics that the task reports; the two folders are the halves of the test set."""
    outcomes = counts(errors)
    parts = {"": outcomes, "_test-clean": outcomes[: UTTERANCES // 2], "_test-other": outcomes[UTTERANCES // 2 :]}
    rates = {folder: round(100 - score(part), 6) for folder, part in parts.items()}
    found = {f"wer{folder}": rate for folder, rate in rates.items()}
    return found | {f"cer{folder}": round(rate / 3, 6) for folder, rate in rates.items()}


def spoken(plain: Record, errors: Mapping[str, Sequence[int]]) -> Record:
    """Return the record `plain`, which has the arms and phases, with the scores of a speech row.

    `errors` maps every arm and "dense" to the number of wrong words at the end of each phase.
    """
    assert plain.dense is not None
    arms = {name: Arm(**_scored(name, arm, errors[name])) for name, arm in plain.arms.items()}
    gain = arms["control"].test["wer"] - arms["dsd"].test["wer"]
    changed: dict[str, Any] = {
        "dense": Dense(**_scored("dense", plain.dense, errors["dense"]), source="trained", sha256=None),
        "arms": arms,
        "bootstrap": {"dsd": Bootstrap(mean=gain, low=gain - 0.5, high=gain + 0.5, resamples=100)},
        "recipe": plain.recipe | {"clip_norm": 400.0},
        "data": plain.data.model_copy(update={"counts": {"train": 400, "test": UTTERANCES}}),
    }
    return plain.model_copy(update=changed).sealed()


def _scored(name: str, arm: Arm, errors: Sequence[int]) -> dict[str, Any]:
    assert len(errors) == len(arm.phases)
    phases: list[PhaseResult] = []
    sparse = 0
    for phase, wrong in zip(arm.phases, errors, strict=True):
        mask = None
        if phase.kind == "sparse":
            kept = 1 - _SPARSITIES[sparse]
            again = _AGAIN if name == "dsd" and sparse else {}
            mask = [
                LayerMask(name=n, weights=w, kept=round(w * kept), zeros=round(w * (1 - kept)), again=again.get(n))
                for n, w in _LAYERS.items()
            ]
            sparse += 1
        clipping = Clipping(share=0.25 if mask else 0.5, factor=0.875 if mask else 0.75)
        regrown = _regrown(_SPARSITIES[sparse - 1]) if name == "dsd" and phase.kind == "redense" else None
        told = {"test": metrics(wrong), "mask": mask, "clipping": clipping, "regrown": regrown}
        phases.append(phase.model_copy(update=told))
    curve = [
        point.model_copy(update={"train": {"loss": wrong / 50}, "test": phase.test})
        for point, phase, wrong in zip(arm.curve, phases, errors, strict=True)
    ]
    return {
        **arm.model_dump(exclude={"source", "sha256"}),
        "phases": phases,
        "curve": curve,
        "test": phases[-1].test,
        "outcomes": pack_outcomes(counts(errors[-1])),
        "histograms": histograms() if name == "dsd" else None,
        "samples": [
            {"utterance": "11-12-0000", "reference": REFERENCE, "transcript": TRANSCRIPTS[name]},
            {"utterance": "11-12-0001", "reference": "it's | a pipe", "transcript": "it's | a pipe"},
        ],
    }


def histograms() -> Histograms:
    """Return the histograms of 400 normally distributed weights: half are pruned, and the others grow by a tenth in S."""
    dense = np.array([NormalDist().inv_cdf((i + 0.5) / 400) for i in range(400)])
    pruned = np.where(np.abs(dense) < np.median(np.abs(dense)), 0, dense)
    regrown = np.where(pruned == 0, dense / 4, 1.1 * pruned)
    stages = (dense, pruned, 1.1 * pruned, 1.1 * pruned, regrown)
    points = [_histogram(moment, weights) for moment, weights in zip(MOMENTS, stages, strict=True)]
    return Histograms(layer="recurrent.weight", weights=400, limit=4.0, points=points)


def _histogram(moment: Moment, weights: NDArray[np.float64]) -> Histogram:
    inside, _ = np.histogram(weights[weights != 0], 64, (-4.0, 4.0))
    below, above, zeros = ((weights < -4).sum(), (weights > 4).sum(), (weights == 0).sum())
    return Histogram(moment=moment, counts=inside.tolist(), below=int(below), above=int(above), zeros=int(zeros))


def _regrown(sparsity: float) -> list[Regrown]:
    """Return regrown weights: in each tensor 90 % are below the threshold, with a fifth of the survivors' mean magnitude."""
    pruned = {name: round(weights * sparsity) for name, weights in _LAYERS.items()}
    return [
        Regrown(name=n, weights=w, below=round(0.9 * w), threshold=0.5, magnitude=0.25, survivors=1.25)
        for n, w in pruned.items()
    ]
