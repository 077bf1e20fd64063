"""Notes on one group beside its tables: fit, test-set noise, cost, hardware, software, data and recipe."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import fmean

from benchmarks.analysis import metrics, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS
from benchmarks.arms import registry
from benchmarks.arms.registry import SENSITIVITY
from benchmarks.records.schema import Hardware, Record
from benchmarks.reporting import formatting, group_names, wording
from benchmarks.reporting.document import NONE, Cell, Text

_SAME = 1.05
"""Intervals whose widths differ by less than this ratio count as equal."""


def facts(group: Group) -> list[Text]:
    """Return the facts of one group, one per line. Measurements link to their trials."""
    records, sample = group.records, group.sample
    data = f"Data: {group.key.data}, fingerprint {group.key.fingerprint}, " + ", ".join(
        f"{count:,} {of}" for of, count in sample.data.counts.items()
    )
    if others := group.other_fingerprints:
        same = "the same data: the same trial gave identical losses and outcomes under both"
        data += f"; under an older rule {', '.join(others)}, {same}"
    versions = [f"torch {r.versions.get('torch', 'unknown')}, {r.precision}" for r in records]
    measured = {
        "Fit at the end of D": _fit(group),
        "Test set": _test_set(group),
        "Masks keep": _masks(group),
        "Gradient-norm clipping": _clipping(group),
        "Cost, mean over trials": _cost(records),
    }
    found: list[Text] = [(Cell(of, trials=summary.trials(group)), f": {text}") for of, text in measured.items() if text]
    features = {r.data.features for r in records if r.data.features}
    # Newer records describe features in more detail. Drop a description that another one extends.
    fullest = [one for one in features if not any(other.startswith(f"{one}; ") for other in features)]
    reduction = sample.recipe.get("reduction")
    return [
        *found,
        f"Hardware: {formatting.unique([_machine(r.hardware) for r in records])}",
        f"Software: {group_names.numerics(group)}, {formatting.unique(versions)}; commit {formatting.commits(records)}",
        data,
        *([f"Features: {formatting.unique(fullest)}"] if fullest else []),
        *(
            f"Data warning: {warning}{_wrong(warning)}"
            for warning in sorted({w for r in records for w in r.data.warnings})
        ),
        *([f"Differs from the paper: {reduction}"] if reduction else []),  # without it, the notes say what differs
        *(f"Recipe: {wording.readable(note)}" for note in sample.recipe.get("notes", [])),
    ]


def _wrong(warning: str) -> str:
    """Return the consequence if equal pictures in the warning are in folders of two classes; otherwise an empty text."""
    pairs = re.findall(r"[(, ]\w+/([^/\s]+)/\S+ = \w+/([^/\s]+)/", warning)
    return "; their labels differ, so one copy always counts as wrong" if any(a != b for a, b in pairs) else ""


def _fit(group: Group) -> str:
    """Return the fit at the end of D on training and test data, which shows under- or overfitting."""
    fit = summary.fit(group)
    if not fit:
        return ""

    def scores(found: Mapping[str, float], *names: str) -> str:
        units = {group.metric: f" {group.sample.unit}"}
        known = [name for name in names if name in found]
        return ", ".join(f"{_plainly(name)} {found[name]:.2f}{units.get(name, '')}" for name in known) or NONE

    how = "preprocessed like test examples"
    if fit.epochs is not None:
        over = "epoch" if fit.epochs == 1 else f"{fit.epochs:g} epochs"
        how = f"over its last {over}, with training's augmentation and dropout"
    train = scores(fit.train, "test_loss" if fit.epochs is None else "loss", group.metric, "perplexity")
    test = scores(fit.test, "test_loss", group.metric, metrics.PERPLEXITY)
    classes = group.sample.data.counts.get("classes")
    chance = f"; chance {100 - 100 / classes:.2f} %" if classes and group.metric == "top1_error" else ""
    return f"mean of n = {fit.n}; training {train} ({how}); test {test}{chance}"


def _plainly(name: str) -> str:
    """Return the name of a score. A loss is only called "loss", because the sentence already says training or test."""
    return "loss" if name.endswith("loss") else metrics.label(name)


def _test_set(group: Group) -> str:
    """Return how much the finite test set contributes to each trial's gain and to the spread over seeds."""
    spread = summary.spread(group)
    if not spread:
        return ""
    found, low, high = spread
    text = (
        f"mean 95 % interval of one trial's gain over other test sets (bootstrap) {formatting.ends(low, high)}; standard deviation "
        f"of the gain {formatting.number(found.within)} over test sets, within a trial"
    )
    if found.between is None:
        return text
    text += f", and {formatting.number(found.between)} between trials"
    seeds, both = summary.primary(group), summary.crossed(group)
    if not group.quotable or both is None or seeds is None or not seeds.half_width:
        return text
    wider = (both.high - both.low) / (2 * seeds.half_width)
    effect = "does not widen it" if wider < _SAME else "widens it"
    return (
        f"{text}; the gain's interval over seeds (n = {both.n}) also covers the choice of the test set, which {effect}"
    )


def _masks(group: Group) -> str:
    """Return the share of weights that DSD's masks keep in each sparse phase, averaged over trials."""
    parts = []
    for number in range(1, summary.count_iterations(group) + 1):
        masks = [mask for record in group.records if (mask := summary.mask(record, "dsd", number))]
        if masks:
            share = fmean(sum(one.kept for one in m) / sum(one.weights for one in m) for m in masks)
            weights, tensors = sum(one.weights for one in masks[0]), len(masks[0])
            parts.append(f"{100 * share:.1f} % of {weights:,} weights in S{number} (tensors: {tensors})")
    return "; ".join(parts)


def _clipping(group: Group) -> str:
    """Return how strongly gradients were clipped in each phase, by arm. Arms with different norms take different steps."""
    parts = []
    for name in LABELS:
        runs = [r.dense if name == registry.DENSE else r.arms.get(name) for r in group.records]
        trials = [[phase.clipping for phase in run.phases] for run in runs if run and run.phases]
        phases = [[one for one in phase if one] for phase in zip(*trials, strict=True)]
        if phases and all(len(phase) == len(trials) for phase in phases):
            shown = [f"{fmean(c.factor for c in p):.2f} ({100 * fmean(c.share for c in p):.0f} %)" for p in phases]
            parts.append(f"{LABELS[name]} {', '.join(shown)}")
    at = group.sample.recipe.get("clip_norm")
    rule = f"at {at:g}, by phase: mean scaling factor of the gradient (share of steps clipped)" if at else ""
    return f"{rule}: {'; '.join(parts)}" if parts else ""


def _machine(hardware: Hardware) -> str:
    each = f"{hardware.gpu or hardware.cpu}, threads: {hardware.threads}"
    return each if hardware.processes == 1 else f"{hardware.processes} processes, each with {each}"


def _cost(records: Sequence[Record]) -> str:
    """Return the mean cost of a trial and of its parts. If only some trials have a part, the text states their number."""
    whole = [r.cost for r in records]
    text = f"{fmean(c.seconds for c in whole):,.0f} s, {fmean(c.steps for c in whole):,.0f} steps, "
    text += f"{fmean(c.samples for c in whole):,.0f} samples"
    parts: dict[str, dict[str, float]] = {"D": {r.id: r.dense.cost.seconds for r in records if r.dense}}
    for record in records:
        for name, arm in record.arms.items():
            part = parts.setdefault("sensitivity arms" if name in SENSITIVITY else registry.label(name), {})
            part[record.id] = part.get(record.id, 0.0) + arm.cost.seconds
    shown = []
    for label, seconds in parts.items():
        some = f" in {len(seconds)} of {len(records)} trials" if len(seconds) < len(records) else ""
        shown += [f"{label} {fmean(seconds.values()):,.0f} s{some}"] if seconds else []
    overlap = sum(sum(part.values()) for part in parts.values()) > 1.01 * sum(c.seconds for c in whole)
    shared = " (phases that arms share count for each)" if overlap else ""
    return f"{text}; of which {', '.join(shown)}{shared}"
