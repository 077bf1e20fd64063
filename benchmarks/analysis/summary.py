"""Summaries of a group: means, paired gains and their intervals. Pure functions; no text, no files."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.analysis import metrics
from benchmarks.analysis.groups import Group
from benchmarks.arms.registry import DENSE, MAIN, SENSITIVITY, control_of, label
from benchmarks.records.example_outcomes import unpack_outcomes
from benchmarks.records.schema import Arm, LayerMask, Record
from benchmarks.statistics import bootstrap, intervals
from benchmarks.statistics.bootstrap import Spread
from benchmarks.statistics.crossed import Crossed, Measured, contrast, measure
from benchmarks.statistics.intervals import Paired

LABELS = {name: label(name) for name in (DENSE, *MAIN)}
"""Display names of the end of D and of the main arms, in display order."""


@dataclass(frozen=True)
class Fit:
    """The fit at the end of D: means over the `n` seeds that have a curve of D.

    `train` are scores on training examples preprocessed like test examples; `epochs` is then None. Records of suite 0.1 lack
    them. For these, `train` is the running training score over the last `epochs` of D. It is measured with augmentation and
    dropout while the weights still change. `test` is the test result after the last step.
    """

    train: dict[str, float]
    test: dict[str, float]
    epochs: float | None
    n: int


@dataclass(frozen=True)
class Average:
    """A metric over the seeds that have it: mean, sample standard deviation (None at n = 1), n, and the trial ids."""

    mean: float
    sd: float | None
    n: int
    trials: tuple[str, ...] = ()


def main_arms(group: Group) -> list[str]:
    """Return the arms of the main tables, in the order of `LABELS`. Sensitivity arms have their own table."""
    names = {name for record in group.records for name in record.arms} - set(SENSITIVITY)
    return [*(name for name in LABELS if name in names), *sorted(names - set(LABELS))]


@functools.lru_cache(maxsize=64)
def stages(group: Group) -> dict[str, dict[str, Average]]:
    """Return label of main arm or phase -> metric -> average, in display order."""
    readers: dict[str, Callable[[Record], dict[str, float] | None]] = {
        LABELS[DENSE]: functools.partial(_test, arm=DENSE)
    }
    iterations = count_iterations(group)
    for number in range(1, iterations + 1):
        suffix = "" if iterations == 1 else f", iteration {number}"
        readers["Sparse" + suffix] = functools.partial(_after, arm="dsd", kind="sparse", number=number)
        if number < iterations:
            readers["DSD" + suffix] = functools.partial(_after, arm="dsd", kind="redense", number=number)
            readers["Control" + suffix] = functools.partial(_after, arm="control", kind="redense", number=number)
    readers |= {label(name): functools.partial(_test, arm=name) for name in main_arms(group)}
    result = {}
    for name, read in readers.items():
        tests = [(record.id, test) for record in group.records if (test := read(record)) is not None]
        names = sorted({m for _, test in tests for m in test}, key=lambda m: (m != group.metric, m))
        if tests:
            result[name] = {
                m: average([test[m] for _, test in tests if m in test], [of for of, test in tests if m in test])
                for m in names
            }
    return result


def trials(group: Group, *names: str) -> tuple[str, ...]:
    """Return the ids of the trials that have all of these arms. The end of D counts as an arm."""
    return tuple(record.id for record in group.records if set(names) <= set(record.runs))


def average(values: Sequence[float], trials: Sequence[str] = ()) -> Average:
    """Return mean, sample standard deviation and n of `values`, which come from `trials`."""
    summary = intervals.paired(values)
    return Average(summary.mean, summary.sd, summary.n, tuple(trials))


def gains(group: Group, arm: str, over: str, metric: str | None = None) -> dict[int, float]:
    """Return seed to gain of `arm` over `over`, for records with both; positive is better.

    `metric` is the primary metric (default) or a variant of it.
    """
    result = {}
    for record in group.records:
        after, before = _test(record, arm), _test(record, over)
        if after and before and (metric or group.metric) in after.keys() & before.keys():
            result[record.seed] = gain(record, before, after, metric)
    return result


def gain(record: Record, before: dict[str, float], after: dict[str, float], metric: str | None = None) -> float:
    """Return the improvement from `before` to `after` of the record's primary metric, or of a variant of it."""
    name = metric or record.metric
    difference = after[name] - before[name]
    return -difference if record.lower_is_better else difference


def compare(group: Group, arm: str, over: str, metric: str | None = None) -> Paired | None:
    """Return the paired gain of `arm` over `over`; None if no record has both."""
    return paired(group, list(gains(group, arm, over, metric).values()))


def paired(group: Group, gains: Sequence[float]) -> Paired | None:
    """Return the summary of one gain per seed; None if there is none."""
    if not gains:
        return None
    summary = intervals.paired(gains)
    # On generated data, show no interval and no p-value: somebody might quote them.
    return dataclasses.replace(summary, half_width=None, p=None) if group.section == "smoke" else summary


def primary(group: Group) -> Paired | None:
    """Return the primary figure, fixed in advance: DSD's gain over the equal-budget control."""
    return compare(group, "dsd", "control")


def relative(group: Group) -> float | None:
    """Return DSD's gain over the baseline in percent of the baseline, as in the paper's Table 1."""
    over = gains(group, "dsd", DENSE)
    before = [r.dense.test[r.metric] for r in group.records if r.seed in over and r.dense]
    return 100 * sum(over.values()) / sum(before) if before and sum(before) > 0 else None


def missing(group: Group) -> tuple[str, ...]:
    """Return which arms of the primary figure no trial has. It can be empty although no trial has both."""
    return tuple(name for name in ("dsd", "control") if not trials(group, name))


def measured(group: Group, arm: str = "dsd", over: str = "control") -> Measured | None:
    """Return the gains of `arm` over `over` by seed and test example, seeds in the order of the records.

    None if no trial has both, on generated data and at smoke scale. Speech: utterances of `noisy-digits` share recordings, which
    records do not name. If a record's samples name every test utterance, speakers are the clusters; otherwise utterances count
    as independent, and the interval is somewhat too narrow.

    Raises:
        ValueError: the trials were tested on different numbers of examples.
    """
    pairs = [(r.runs[arm], r.runs[over]) for r in group.records if {arm, over} <= set(r.runs)]
    chosen = [(ours, theirs) for ours, theirs in pairs if ours.outcomes and theirs.outcomes]
    if group.section == "smoke" or not chosen:
        return None
    sizes = {r.id: len(unpack_outcomes(r.runs[arm].outcomes)) for r in group.records if arm in r.runs}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"records of one group were tested on different numbers of examples: {sizes}")
    dsd, control = (tuple(run.outcomes for run in side) for side in zip(*chosen, strict=True))
    return _measured(dsd, control, group.sample.lower_is_better, _speakers(chosen[0][0], min(sizes.values())))


def crossed(group: Group, arm: str = "dsd", over: str = "control") -> Crossed | None:
    """Return the mean gain with its interval over seeds and test examples; None below two seeds, or if `measured` is None."""
    gains_by_example = measured(group, arm, over)
    return contrast(gains_by_example) if gains_by_example else None


def quoted(group: Group, arm: str = "dsd", over: str = "control") -> Crossed | Paired | None:
    """Return the gain that pages and figures quote; None if no trial has both arms.

    Its interval covers seeds and test examples. For non-results, and if outcomes by example were not kept, it covers seeds only.
    """
    found = crossed(group, arm, over) if group.quotable else None
    return found or compare(group, arm, over)


def over_baseline(group: Group) -> tuple[Paired, Paired] | None:
    """Return the gains of DSD and of the control over the baseline, in the trials that have both.

    None if no trial has both. The two are always shown together: the control's gain is the effect of longer training.
    """
    dsd, control = (gains(group, arm, DENSE) for arm in ("dsd", "control"))
    both = [seed for seed in dsd if seed in control]
    gains_of_both = [paired(group, [of[seed] for seed in both]) for of in (dsd, control)]
    return (gains_of_both[0], gains_of_both[1]) if gains_of_both[0] and gains_of_both[1] else None


def fit(group: Group) -> Fit | None:
    """Return the fit at the end of D; None if no trial trained D."""
    chosen = [record.dense for record in group.records if record.dense and record.dense.curve]
    if not chosen:
        return None
    clean = [dense.phases[-1].train for dense in chosen if dense.phases]
    train = [scores for scores in clean if scores is not None]
    tests = _means([dense.test for dense in chosen])
    if len(train) == len(chosen):
        return Fit(_means(train), tests, None, len(chosen))
    ends = [0.0, *(point.epoch for point in chosen[0].curve)]
    return Fit(_means([dense.curve[-1].train for dense in chosen]), tests, ends[-1] - ends[-2], len(chosen))


def _means(tests: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of every metric that all of `tests` have."""
    names = [name for name in tests[0] if all(name in test for test in tests)]
    return {name: average([test[name] for test in tests]).mean for name in names}


def spread(group: Group) -> tuple[Spread, float, float] | None:
    """Return how much of the spread of the primary gain the test set explains, and the mean bootstrap interval."""
    gains_by_seed = gains(group, "dsd", "control")
    chosen = [r for r in group.records if r.seed in gains_by_seed and "dsd" in r.bootstrap]
    if not chosen or group.section == "smoke":
        return None
    boots = [r.bootstrap["dsd"] for r in chosen]
    low, high = (intervals.paired([getattr(b, end) for b in boots]).mean for end in ("low", "high"))
    return bootstrap.between_and_within([gains_by_seed[r.seed] for r in chosen], boots), low, high


def mask(record: Record, arm: str, number: int) -> list[LayerMask] | None:
    """Return the mask of an arm's sparse phase `number`, counted from one; None if there is none."""
    index = phase_index(record, arm, "sparse", number)
    return None if index is None else record.arms[arm].phases[index].mask


def count_iterations(group: Group) -> int:
    """Return the number of sparse phases of the dsd arm: the paper's iterations."""
    counts = [sum(p.kind == "sparse" for p in r.arms["dsd"].phases) for r in group.records if "dsd" in r.arms]
    return max(counts, default=0)


def has_sensitivity(group: Group) -> bool:
    """Return whether any trial has both a sensitivity arm and the control that it is compared with."""
    return any(
        {arm, control_of(arm)} <= set(record.arms)
        for record in group.records
        for arm in SENSITIVITY
        if arm in record.arms
    )


def variants(group: Group) -> list[str]:
    """Return the variants of the group's primary metric (other decoder, BLEU kind or folder)."""
    return metrics.variants({m for cells in stages(group).values() for m in cells}, group.metric)


@functools.lru_cache(maxsize=256)
def _measured(
    ours: tuple[str, ...], theirs: tuple[str, ...], lower_is_better: bool, clusters: tuple[str, ...] | None
) -> Measured:
    """Return `crossed.measure` of packed outcomes. Cached, because every table and page needs it."""
    dsd, control = ([unpack_outcomes(text) for text in arm] for arm in (ours, theirs))
    return measure(dsd, control, lower_is_better, clusters)


def _speakers(run: Arm, count: int) -> tuple[str, ...] | None:
    """Return the speaker of each of `count` utterances (SPEAKER-CHAPTER-NUMBER); None unless the samples name all."""
    names = [str(sample.get("utterance", "")) for sample in run.samples]
    return tuple(name.split("-")[0] for name in names) if len(names) == count and all(names) else None


def _test(record: Record, arm: str) -> dict[str, float] | None:
    return record.runs[arm].test if arm in record.runs else None


def _after(record: Record, arm: str, kind: str, number: int) -> dict[str, float] | None:
    """Return an arm's test result at the end of the dsd arm's phase `number` of a kind; None if there is none."""
    index = phase_index(record, "dsd", kind, number)
    return None if index is None else test_after(record, arm, index)


def phase_index(record: Record, arm: str, kind: str, number: int) -> int | None:
    """Return the index of an arm's phase `number` of a kind, counted from one; None if there is none."""
    phases = record.arms[arm].phases if arm in record.arms else []
    indices = [index for index, phase in enumerate(phases) if phase.kind == kind]
    return indices[number - 1] if len(indices) >= number else None


def test_after(record: Record, arm: str, index: int) -> dict[str, float] | None:
    """Return an arm's test result at the end of the dsd arm's phase `index`; None unless both took the same number of steps."""
    if {arm, "dsd"} - set(record.arms):
        return None
    steps = [[phase.steps for phase in record.arms[name].phases[: index + 1]] for name in (arm, "dsd")]
    if min(map(len, steps)) <= index or sum(steps[0]) != sum(steps[1]):
        return None
    return record.arms[arm].phases[index].test
