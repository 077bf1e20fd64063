"""The networks that a trial saves with --save-weights, as its record describes them."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.arms.registry import DENSE
from benchmarks.records.naming import weights_file
from benchmarks.records.schema import LayerMask, Record


@dataclass(frozen=True)
class Network:
    """A saved network.

    Attributes:
        name: "dense", an arm's name, or an arm's name and "-sparse1" for the end of its first sparse phase.
        file: the name of its weights file.
        stage: a description of the training so far.
        test: its scores on the test set.
        mask: the counts of the mask with which it was trained; None without a mask.
    """

    name: str
    file: str
    stage: str
    test: dict[str, float]
    mask: list[LayerMask] | None = None


def main_networks(record: Record) -> list[Network]:
    """Return D, the control, and `dsd` at the end of every sparse phase and at its own end, in this order.

    Raises:
        ValueError: the trial did not finish, was given its dense start, or lacks `dsd`.
    """
    trial = record.id.rpartition("-")[0]
    if record.status != "finished" or record.dense is None or record.dense.source != "trained":
        raise ValueError(f"{record.id}: the trial did not train a dense start and finish")
    if "dsd" not in record.arms:
        raise ValueError(f"{record.id}: the trial has no arm 'dsd'")
    dense, control, dsd = record.dense, record.arms["control"], record.arms["dsd"]
    found = [
        Network(DENSE, weights_file(trial, DENSE), "after D, the start of both arms", dense.test),
        Network("control", weights_file(trial, "control"), "D, then ordinary training of equal budget", control.test),
    ]
    number = 0
    for index, phase in enumerate(dsd.phases):
        if phase.kind == "sparse":
            number += 1
            arm = dsd.forked_from if index < dsd.shared_phases else "dsd"  # the arm that trained and saved this phase
            file = weights_file(trial, arm, f"sparse{number}")
            stage = f"after sparse phase {number} of DSD" if number > 1 else "after the sparse phase S of DSD"
            found.append(Network(f"dsd-sparse{number}", file, stage, phase.test, phase.mask))
    return [
        *found,
        Network("dsd", weights_file(trial, "dsd"), "DSD, the mask dropped and all weights trained", dsd.test),
    ]
