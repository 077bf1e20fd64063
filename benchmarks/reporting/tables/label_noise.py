"""The label-noise check: gains by share of wrong labels, and training and test over D2."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.analysis import label_noise, metrics, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.label_noise import Course, Level
from benchmarks.analysis.summary import Average
from benchmarks.arms import registry
from benchmarks.reporting.display_names import metric_name
from benchmarks.reporting.document import PAGES, Block, Cell, Column, Heading, Paragraph, Table, Text, table
from benchmarks.reporting.formatting import gained, mean_sd, number
from benchmarks.statistics.intervals import MINIMUM_SEEDS

_NOISE = (
    "Does the re-dense phase overfit to wrong training labels? A random share of the training labels is wrong; test labels are "
    "correct. No verdict: these trials have their own recipe and are not compared with the paper."
)


def blocks(groups: Sequence[Group], row: str) -> list[Block]:
    """Return the label-noise check of a row; nothing if it has none."""
    found = label_noise.checks(groups, row)
    parts: list[Block] = [Heading(2, f"{row}: label noise"), Paragraph(_NOISE)] if found else []
    for levels in found:
        parts += [Paragraph(_sentence(levels)), _gains(levels), _courses(levels)]
    return parts


def _sentence(levels: Sequence[Level]) -> Text:
    """Return in a few sentences whether D2 overfits at the noisy level, from its effect on training and test."""
    noisy = levels[-1]
    dsd, control = noisy.courses["dsd"], noisy.courses["control"]
    before, after = dsd.train[1:]
    name = metric_name(noisy.group.metric, noisy.group).removesuffix(" %")
    text: Text = (
        *(f"With {_share(noisy)} of the labels wrong: **{_answer(dsd, noisy.group)}.** ", "D2 changes DSD's test by "),
        *(
            gained(dsd.change, _trials(noisy)),
            f" points of {name} (positive is better). The same steps change the control's by ",
        ),
        *(
            gained(control.change, _trials(noisy)),
            ". The difference is ",
            gained(noisy.difference, _trials(noisy)),
            ".",
        ),
    )
    if not before or not after:
        return text
    ends = [Cell(number(one.mean), one.mean, _trials(noisy)) for one in (before, after)]
    return (*text, f" DSD's training {metrics.label(dsd.measure)} goes from ", ends[0], " to ", ends[1], " in D2.")


def _answer(course: Course, group: Group) -> str:
    """Return whether an arm overfits in D2: training improves while the test gets significantly worse."""
    change, (before, after) = course.change, course.train[1:]
    if change.n < MINIMUM_SEEDS or change.interval is None:
        return f"no answer below {MINIMUM_SEEDS} seeds (n = {change.n})"
    if change.interval[0] > 0:
        return "it does not overfit: test improves"
    if change.interval[1] >= 0:
        return f"no significant change in the test metric at n = {change.n}"
    if not before or not after:
        return "test gets worse, but there is no training curve"
    lower = course.measure == "loss" or group.sample.lower_is_better
    fits = after.mean < before.mean if lower else after.mean > before.mean
    return "it overfits" if fits else "test gets worse, but so does training: not overfitting"


def _gains(levels: Sequence[Level]) -> Table:
    """Return DSD's gains over the control at the ends of S and D2, by share of wrong labels."""
    columns: list[Column[Level]] = [
        Column("wrong", "labels wrong", lambda one: Cell(_share(one), one.share, _trials(one))),
        Column("sparse", "gain over control after S", lambda one: gained(one.sparse, _trials(one))),
        Column("redense", "after D2", lambda one: gained(one.redense, _trials(one))),
        Column("difference", "added by D2", lambda one: gained(one.difference, _trials(one))),
        Column("n", "n", lambda one: Cell(str(one.redense.n), trials=_trials(one))),
    ]
    return table(columns, levels, PAGES)


def _courses(levels: Sequence[Level]) -> Table:
    """Return training and test at the ends of phases, by share of wrong labels and arm."""
    group, measure = levels[-1].group, metrics.label(levels[-1].courses["dsd"].measure)
    sentences = (
        f"Training {measure} (since the previous point of the curve, so with wrong labels and augmentation) and test "
        f"{metric_name(group.metric, group)} at the ends of D, the last S and the last D2. The control takes the same number of "
        "steps. Overfitting means that training improves while test gets worse:"
    )
    columns: list[Column[_Followed]] = [
        Column("wrong", "labels wrong", lambda line: Cell(_share(line[0]), line[0].share, _trials(line[0]))),
        Column("arm", "arm", lambda line: Cell(registry.label(line[1]))),
        *(_end("training", index, lambda course: course.train) for index in range(3)),
        *(_end("test", index, lambda course: course.test) for index in range(3)),
        Column("gain", "test, gain in D2", lambda line: gained(line[2].change, _trials(line[0]))),
        Column("n", "n", lambda line: Cell(str(line[2].change.n), trials=_trials(line[0]))),
    ]
    lines = [(one, name, course) for one in levels for name, course in one.courses.items()]
    return table(columns, lines, PAGES, sentences=sentences)


_Followed = tuple[Level, str, Course]


def _end(of: str, index: int, read: Callable[[Course], Sequence[Average | None]]) -> Column[_Followed]:
    """Return the column of training or test at the end of a phase."""
    heading = f"{of}: {('D', 'S', 'D2')[index]}"
    return Column(heading, heading, lambda line: Cell(mean_sd(read(line[2])[index]), trials=_trials(line[0])))


def _trials(level: Level) -> tuple[str, ...]:
    return summary.trials(level.group, "dsd", "control")


def _share(level: Level) -> str:
    return f"{100 * level.share:g} %" if level.share else "none"
