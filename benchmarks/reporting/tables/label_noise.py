"""The check against wrong labels: gains by share of wrong labels, and the course of D2."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.analysis import label_noise, metrics, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.label_noise import Course, Level
from benchmarks.analysis.summary import Average
from benchmarks.arms import registry
from benchmarks.reporting.document import PAGES, Block, Cell, Column, Heading, Paragraph, Table, Text, table
from benchmarks.reporting.formatting import gained, mean_sd, number
from benchmarks.reporting.headings import metric_name
from benchmarks.statistics.intervals import MINIMUM_SEEDS

_NOISE = (
    "Does the re-dense phase overfit where training labels are wrong? A share of them, drawn at random, is wrong; the test's are "
    "right. No verdict: trials of a recipe of their own, which enter no comparison with the paper."
)


def blocks(groups: Sequence[Group], row: str) -> list[Block]:
    """Return the check of a row against wrong labels, nothing where it has none."""
    found = label_noise.checks(groups, row)
    parts: list[Block] = [Heading(3, f"{row}: label noise"), Paragraph(_NOISE)] if found else []
    for levels in found:
        parts += [Paragraph(_sentence(levels)), _gains(levels), _courses(levels)]
    return parts


def _sentence(levels: Sequence[Level]) -> Text:
    """Return in a few sentences whether D2 overfits at the noisy level, from what it did to training and test."""
    noisy = levels[-1]
    dsd, control = noisy.courses["dsd"], noisy.courses["control"]
    before, after = dsd.train[1:]
    name = metric_name(noisy.group.metric, noisy.group).removesuffix(" %")
    text: Text = (
        *(f"With {_share(noisy)} of the labels wrong: **{_answer(dsd, noisy.group)}.** ", "D2 changes DSD's test by "),
        *(
            gained(dsd.change, _trials(noisy)),
            f" points of {name} (positive is better), the same steps the control's by ",
        ),
        *(
            gained(control.change, _trials(noisy)),
            "; the difference is ",
            gained(noisy.difference, _trials(noisy)),
            ".",
        ),
    )
    if not before or not after:
        return text
    ends = [Cell(number(one.mean), one.mean, _trials(noisy)) for one in (before, after)]
    return (*text, f" DSD's training {metrics.label(dsd.measure)} goes from ", ends[0], " to ", ends[1], " in D2.")


def _answer(course: Course, group: Group) -> str:
    """Return whether an arm overfits in D2: the training figure gets better, and the test worse beyond its interval."""
    change, (before, after) = course.change, course.train[1:]
    if change.n < MINIMUM_SEEDS or change.interval is None:
        return f"not said below {MINIMUM_SEEDS} seeds (n = {change.n})"
    if change.interval[0] > 0:
        return "it does not, the test gets better"
    if change.interval[1] >= 0:
        return f"the test is not told apart from unchanged at n = {change.n}"
    if not before or not after:
        return "the test gets worse, and no curve tells of the training"
    lower = course.measure == "loss" or group.sample.lower_is_better
    fits = after.mean < before.mean if lower else after.mean > before.mean
    return "it does" if fits else "the test gets worse, but so does the training: that is no overfitting"


def _gains(levels: Sequence[Level]) -> Table:
    """Return the gains of DSD over the control at the ends of S and D2, by share of wrong labels."""
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
        f"Training {measure} (as trained since the curve's point before, hence against the wrong labels too and under any "
        f"augmentation) and test {metric_name(group.metric, group)} at the ends of D, of the last S and of the last D2; the "
        "control has as many steps. Overfitting is a training figure that gets better while the test gets worse:"
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
