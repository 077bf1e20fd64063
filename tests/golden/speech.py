"""Golden records of a speech row, two iterations long: made-up counts of errors, and every rate that follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import record as records
from benchmarks.record import Arm, Bootstrap, Clipping, Dense, LayerMask, PhaseResult, Record
from benchmarks.statistics import score

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


def counts(errors: int) -> NDArray[np.float64]:
    """Return (40, 2) counts, right words and words; the first utterance of five words has eight of the `errors` in 260."""
    example = np.arange(UTTERANCES)
    wrong = np.bincount((7 * np.arange(errors - 8) + 3) % UTTERANCES, minlength=UTTERANCES) + 8 * (example == 0)
    words = 5 + example % 4
    return np.stack([words - wrong, words], axis=1).astype(np.float64)


def metrics(errors: int) -> dict[str, float]:
    """Return what the task reports; the two folders are the halves of the test set."""
    outcomes = counts(errors)
    parts = {"": outcomes, "_test-clean": outcomes[: UTTERANCES // 2], "_test-other": outcomes[UTTERANCES // 2 :]}
    rates = {folder: round(100 - score(part), 6) for folder, part in parts.items()}
    found = {f"wer{folder}": rate for folder, rate in rates.items()}
    return found | {f"cer{folder}": round(rate / 3, 6) for folder, rate in rates.items()}


def spoken(plain: Record, errors: Mapping[str, Sequence[int]]) -> Record:
    """Return `plain`, a record of the right arms and phases, as one of a speech row.

    `errors` is, for every arm and for "dense", the number of wrong words at the end of each phase.
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
            layers = {"recurrent.weight": 400, "fc.weight": 200}
            mask = [
                LayerMask(name=n, weights=w, kept=round(w * kept), zeros=round(w * (1 - kept)))
                for n, w in layers.items()
            ]
            sparse += 1
        clipping = Clipping(share=0.25 if mask else 0.5, factor=0.875 if mask else 0.75)
        phases.append(phase.model_copy(update={"test": metrics(wrong), "mask": mask, "clipping": clipping}))
    curve = [
        point.model_copy(update={"train": {"loss": wrong / 50}, "test": phase.test})
        for point, phase, wrong in zip(arm.curve, phases, errors, strict=True)
    ]
    return {
        **arm.model_dump(exclude={"source", "sha256"}),
        "phases": phases,
        "curve": curve,
        "test": phases[-1].test,
        "outcomes": records.pack_outcomes(counts(errors[-1])),
        "samples": [
            {"utterance": "11-12-0000", "reference": REFERENCE, "transcript": TRANSCRIPTS[name]},
            {"utterance": "11-12-0001", "reference": "it's | a pipe", "transcript": "it's | a pipe"},
        ],
    }
