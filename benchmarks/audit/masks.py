"""Check that a record's masks have the sparsity of its recipe."""

from __future__ import annotations

from collections import defaultdict

from benchmarks.arms.registry import ARMS
from benchmarks.audit import weight_log
from benchmarks.audit.check import NotApplicableError, Outcome
from benchmarks.audit.recipes import phases_of
from benchmarks.records.schema import Record
from dsd.masks import pruned_count


def masks(record: Record) -> Outcome:
    """Every sparse phase keeps the right number of weights in each tensor, and no other phase has a mask.

    Zeros, histograms and mask lineage agree with the masks.
    """
    problems: list[str] = []
    tensors = 0
    first_shapes: dict[str, int] = {}
    # By arm and tensor, the largest number of pruned weights in any phase so far.
    most: defaultdict[tuple[str, str], int] = defaultdict(int)
    for name, phase, rule in phases_of(record):
        where = f"{name}, {phase.kind} phase"
        if (phase.mask is not None) != (rule.sparsity > 0):
            problems.append(f"{where}: sparsity {rule.sparsity}, but {'a' if phase.mask is not None else 'no'} mask")
        if phase.mask is None:
            continue
        shapes = {layer.name: layer.weights for layer in phase.mask}
        first_shapes = first_shapes or shapes
        if shapes != first_shapes or not shapes or len(shapes) != len(phase.mask):
            problems.append(
                f"{where}: its pruned tensors differ from the other sparse phases', or a tensor occurs twice, or none"
            )
        tensors += len(phase.mask)
        for layer in phase.mask:
            pruned = pruned_count(layer.weights, rule.sparsity)
            kept = layer.weights - pruned
            # At the end of a phase, at most one of a million kept weights is zero by chance. More can be zero where a unit is dead:
            # its gradient is zero, so weights that start at zero (after an earlier phase, or grown by a moving mask) stay zero.
            most[name, layer.name] = max(pruned, most[name, layer.name])
            limit = layer.weights if ARMS[name].moves_masks else most[name, layer.name] + layer.kept // 1_000_000
            if layer.kept != kept:
                problems.append(
                    f"{where}: {layer.name} keeps {layer.kept} of {layer.weights}, the sparsity requires {kept}"
                )
            elif not pruned <= layer.zeros <= limit:
                problems.append(f"{where}: {layer.name} has {layer.zeros} zeros, but {pruned} pruned weights")
    if not tensors and not problems:
        raise NotApplicableError("none of its arms has a sparse phase")
    followed = [name for name, arm in record.arms.items() if weight_log.followed(arm)]
    problems = problems or [name + problem for name in followed for problem in weight_log.problems(record.arms[name])]
    return problems, f"{tensors} pruned tensors{', histograms and lineage' if followed else ''}"
