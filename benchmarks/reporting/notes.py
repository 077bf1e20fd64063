"""Notes on one group beside its tables: fit, test-set noise, cost, hardware, software, data and recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.analysis import metrics, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS
from benchmarks.arms import registry
from benchmarks.arms.registry import SENSITIVITY
from benchmarks.records.schema import Hardware, Record
from benchmarks.reporting import formatting
from benchmarks.reporting.document import NONE, Cell, Text


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
    found: list[Text] = [*_fit(group), *_test_set(group), *_masks(group), *_clipping(group)]
    found += [
        (Cell("Cost, mean over trials", trials=summary.trials(group)), f": {_cost(records)}"),
        f"Hardware: {formatting.unique([_machine(r.hardware) for r in records])}",
        f"Software: {group.key.numerics}, {formatting.unique(versions)}; commit {formatting.commits(records)}",
        data,
    ]
    features = {r.data.features for r in records if r.data.features}
    # Newer records describe features in more detail. Drop a description that another one extends.
    fullest = [one for one in features if not any(other.startswith(f"{one}; ") for other in features)]
    found += [f"Features: {formatting.unique(fullest)}"] if fullest else []
    found += [f"Data warning: {warning}" for warning in sorted({w for r in records for w in r.data.warnings})]
    reduction = sample.recipe.get("reduction")
    found += [f"Differs from the paper: {reduction}"] if reduction else []  # otherwise the notes say what differs
    found += [f"Recipe: {note}" for note in sample.recipe.get("notes", [])]
    return found


def _fit(group: Group) -> list[Text]:
    """Return the fit at the end of D on training and test data, which shows under- or overfitting."""
    fit = summary.fit(group)
    if not fit:
        return []

    def scores(found: Mapping[str, float], loss: str, perplexity: str) -> str:
        shown = [f"loss {found[loss]:.3f}"] if loss in found else []
        if group.metric in found:
            name = metrics.label(group.metric)
            shown.append(f"{name} {formatting.number(found[group.metric])} {group.sample.unit}")
        if perplexity in found:
            shown.append(f"{metrics.label(perplexity)} {formatting.number(found[perplexity])}")
        return ", ".join(shown) or NONE

    if fit.epochs is None:
        train = f"{scores(fit.train, 'test_loss', 'perplexity')} (preprocessed like test examples)"
    else:
        over = "epoch" if fit.epochs == 1 else f"{fit.epochs:g} epochs"
        train = f"{scores(fit.train, 'loss', 'perplexity')} (over its last {over}, with training's augmentation and dropout)"
    test = scores(fit.test, "test_loss", metrics.PERPLEXITY)
    lead = Cell(f"Fit at the end of D, mean of n = {fit.n}", trials=summary.trials(group, registry.DENSE))
    return [(lead, f": training {train}; test {test}{_chance(group)}")]


def _chance(group: Group) -> str:
    """Return the error of random guessing, for classification. A network near it has learned little."""
    classes = group.sample.data.counts.get("classes")
    return f"; chance {formatting.number(100 - 100 / classes)} %" if classes and group.metric == "top1_error" else ""


def _test_set(group: Group) -> list[Text]:
    """Return how much the finite test set contributes to each trial's gain and to the spread over seeds."""
    spread = summary.spread(group)
    if not spread:
        return []
    found, low, high = spread
    text = (
        f": bootstrap over test examples within each trial, mean 95 % interval "
        f"{formatting.ends(low, high)}; standard deviation due to the test set {formatting.number(found.within)}"
    )
    if found.share is not None:
        if found.share <= 1:
            text += f", {100 * found.share:.0f} % of the variance between seeds"
        else:
            text += (
                f", {found.share:.1f} times the variance between seeds: the seeds agree more closely than the finite test "
                "set alone would suggest, so the interval over seeds understates the uncertainty about other test examples"
            )
    return [(Cell("Test set", trials=summary.trials(group, "dsd", "control")), text)]


def _masks(group: Group) -> list[Text]:
    """Return the share of weights that masks keep in each sparse phase, by arm, averaged over trials."""
    parts = []
    for number in range(1, summary.count_iterations(group) + 1):
        kept: dict[str, list[str]] = {}
        for name in ("dsd", "random"):
            masks = [mask for record in group.records if (mask := summary.mask(record, name, number))]
            if masks:
                share = sum(sum(one.kept for one in m) / sum(one.weights for one in m) for m in masks) / len(masks)
                weights = sum(one.weights for one in masks[0])
                tensors = "1 tensor" if len(masks[0]) == 1 else f"{len(masks[0])} tensors"
                kept.setdefault(f"{100 * share:.1f} % of {weights:,} weights in {tensors}", []).append(LABELS[name])
        phase = "S" if summary.count_iterations(group) == 1 else f"S{number}"
        parts += [f"{what} in {phase} ({', '.join(names)})" for what, names in kept.items()]
    return [(Cell("Masks keep", trials=summary.trials(group)), f" {'; '.join(parts)}")] if parts else []


def _clipping(group: Group) -> list[Text]:
    """Return how strongly gradients were clipped in each phase, by arm. Arms with different norms take different steps."""
    parts = []
    for name in LABELS:
        runs = [r.dense if name == registry.DENSE else r.arms.get(name) for r in group.records]
        phases = [[p.clipping for p in run.phases] for run in runs if run and run.phases]
        if not phases or any(one is None for phase in phases for one in phase):
            continue
        columns = [[one for one in column if one] for column in zip(*phases, strict=True)]
        shown = [
            f"{sum(c.factor for c in column) / len(column):.2f} ({100 * sum(c.share for c in column) / len(column):.0f} %)"
            for column in columns
        ]
        parts.append(f"{'D' if name == registry.DENSE else LABELS[name]} {', '.join(shown)}")
    if not parts:
        return []
    text = (
        f" at {group.sample.recipe['clip_norm']:g}, by phase: mean scaling factor of the gradient (share of steps "
        f"clipped): {'; '.join(parts)}"
    )
    return [(Cell("Gradient-norm clipping", trials=summary.trials(group)), text)]


def _machine(hardware: Hardware) -> str:
    each = f"{hardware.gpu or hardware.cpu}, {_threads(hardware.threads)}"
    return each if hardware.processes == 1 else f"{hardware.processes} processes, each with {each}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _cost(records: Sequence[Record]) -> str:
    """Return the mean cost of a trial and of its parts. Parts that only some trials have state how many."""

    def mean(values: Sequence[float]) -> str:
        return f"{sum(values) / len(values):,.0f}"

    whole = [r.cost for r in records]
    text = f"{mean([c.seconds for c in whole])} s, {mean([c.steps for c in whole])} steps, "
    text += f"{mean([c.samples for c in whole])} samples"
    parts = {"D": [r.dense.cost.seconds for r in records if r.dense]}
    for name in dict.fromkeys(name for r in records for name in r.arms if name not in SENSITIVITY):
        parts[registry.label(name)] = [r.arms[name].cost.seconds for r in records if name in r.arms]
    others = [[arm.cost.seconds for name, arm in r.arms.items() if name in SENSITIVITY] for r in records]
    parts["sensitivity arms"] = [sum(seconds) for seconds in others if seconds]
    shown = []
    for part, seconds in parts.items():
        some = f" in {len(seconds)} of {len(records)} trials" if len(seconds) < len(records) else ""
        shown += [f"{part} {mean(seconds)} s{some}"] if seconds else []
    return f"{text}; of which {', '.join(shown)}"
