"""Golden records of planned rows: made-up scores of networks that have converged, with the recipe and data of the plan."""

from __future__ import annotations

from typing import Any

from benchmarks.evidence_plan import WANTED
from benchmarks.records.schema import Record, Scores
from benchmarks.rows import ROWS

CONTROLS = (59.0, 59.2, 59.1, 58.9, 59.3)
GAINS = (0.8, 1.1, 0.9, 1.2, 1.0)
TEXT_GAINS = (0.2, 0.4, 0.1, 0.5, 0.3)


def arms(control: float, gain: float, text_gain: float) -> dict[str, tuple[float, ...]]:
    """Return the errors at the end of every phase after D, by arm. The control at the text's rate is 0.3 points higher."""
    text = control + 0.3
    ends = {"control": control, "dsd": control - gain, "control-text": text, "dsd-text": text - text_gain}
    return {name: (58.0, round(end, 6)) for name, end in ends.items()} | {"llr": (59.8, 59.8)}


def fields(row: str) -> dict[str, Any]:
    """Return the fields that all planned records of a row share."""
    (wanted,) = (one for one in WANTED if one.row == row)
    recipe = wanted.recipe
    return {
        "numerics": ROWS[row].numerics,
        "recipe_hash": recipe.hash(),
        "data": wanted.data,
        "recipe": {
            "network": row.split("_")[1],
            "reduction": recipe.reduction,
            "notes": ["a fixture: every number is made up"],
        },
    }


def converged(plain: Record, train: float = 30.0) -> Record:
    """Return the record with a D that improves by only 0.2 points in its last quarter, and `train` % training error after D."""
    assert plain.dense is not None
    (last,), (phase,) = plain.dense.curve, plain.dense.phases
    before = {name: value + 0.2 for name, value in last.test.items()} if last.test else {}
    points = [
        last.model_copy(update={"step": 75, "epoch": 1.5, "test": before}),
        last.model_copy(update={"step": 100}),
    ]
    phase = phase.model_copy(update={"steps": 100, "train": {plain.metric: train}})
    sparse, redense = plain.arms["dsd"].phases
    pruned = Scores(test={plain.metric: 62.5}, train={plain.metric: 33.0})
    dsd = plain.arms["dsd"].model_copy(update={"phases": [sparse.model_copy(update={"pruned": pruned}), redense]})
    dense = plain.dense.model_copy(update={"curve": points, "phases": [phase]})
    return plain.model_copy(update={"dense": dense, "arms": plain.arms | {"dsd": dsd}}).sealed()
