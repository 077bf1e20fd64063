"""The check against wrong labels: gains by share of wrong labels, and the course of D2."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.analysis import metrics
from benchmarks.analysis.groups import Group
from benchmarks.analysis.label_noise import Course, Level
from benchmarks.arms import registry
from benchmarks.reporting.document import Line
from benchmarks.reporting.formatting import NONE, interval, mean_sd, number
from benchmarks.reporting.headings import metric_name
from benchmarks.statistics.intervals import MINIMUM_SEEDS

NOISE = (
    "Does the re-dense phase overfit where training labels are wrong? A share of them, drawn at random, is wrong; the test's are "
    "right. No verdict: trials of a recipe of their own, which enter no comparison with the paper."
)


def noise_answer(levels: Sequence[Level]) -> str:
    """Return in a few sentences whether D2 overfits at the noisy level, from what it did to training and test."""
    noisy = levels[-1]
    dsd, control = noisy.courses["dsd"], noisy.courses["control"]
    before, after = dsd.train[1:]
    name = metric_name(noisy.group.metric, noisy.group).removesuffix(" %")
    text = f"With {_share(noisy)} of the labels wrong: **{_answer(dsd, noisy.group)}.** D2 changes DSD's test by "
    text += f"{interval(dsd.change)} points of {name} (positive is better), the same steps the control's by "
    text += f"{interval(control.change)}; the difference is {interval(noisy.difference)}."
    if before and after:
        measure = metrics.label(dsd.measure)
        text += f" DSD's training {measure} goes from {number(before.mean)} to {number(after.mean)} in D2."
    return text


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


def noise_gain_lines(levels: Sequence[Level]) -> list[Line]:
    """Return the gains of DSD over the control at the ends of S and D2, by share of wrong labels."""
    return [
        {
            "labels wrong": _share(one),
            "gain over control after S": interval(one.sparse),
            "after D2": interval(one.redense),
            "added by D2": interval(one.difference),
            "n": str(one.redense.n),
        }
        for one in levels
    ]


def noise_course_sentence(levels: Sequence[Level]) -> str:
    """Return what the table of training and test at the ends of phases is."""
    group, measure = levels[-1].group, metrics.label(levels[-1].courses["dsd"].measure)
    return (
        f"Training {measure} (as trained since the curve's point before, hence against the wrong labels too and under any "
        f"augmentation) and test {metric_name(group.metric, group)} at the ends of D, of the last S and of the last D2; the "
        "control has as many steps. Overfitting is a training figure that gets better while the test gets worse:"
    )


def noise_course_lines(levels: Sequence[Level]) -> list[Line]:
    """Return training and test at the ends of phases, by share of wrong labels and arm."""
    return [_course(one, name, course) for one in levels for name, course in one.courses.items()]


def _course(level: Level, arm: str, course: Course) -> Line:
    line = {"labels wrong": _share(level), "arm": registry.label(arm)}
    for where, train in zip(("D", "S", "D2"), course.train, strict=True):
        line[f"training: {where}"] = NONE if train is None else mean_sd(train)
    for where, test in zip(("D", "S", "D2"), course.test, strict=True):
        line[f"test: {where}"] = mean_sd(test)
    return line | {"test, gain in D2": interval(course.change), "n": str(course.change.n)}


def _share(level: Level) -> str:
    return f"{100 * level.share:g} %" if level.share else "none"
