"""The command `evaluate`: score a network with a row's evaluation protocol."""

from __future__ import annotations

from torch import nn

from benchmarks import rows
from benchmarks.analysis import metrics
from benchmarks.cli import named_inputs, option_checks
from benchmarks.cli.console import bars, counts, progress, say
from benchmarks.cli.options import Evaluate
from tasks import pretrained
from tasks.pretrained import Weights
from tasks.random_streams import derive
from tasks.recipe import Metric, Scale
from tasks.task import Task


def evaluate(options: Evaluate) -> int:
    """Print a network's scores under a row's evaluation protocol.

    Raises:
        ValueError: the network cannot be read, does not fit the row, or names other training data.
    """
    given = pretrained.read(options.model)
    task = open_task(options)
    report = task.report
    result = task.evaluate(network(options, task, given), True)
    for warning in report.warnings:
        say(f"warning: {warning}")
    for line in score_lines(result.metrics, task.metric):
        say(line)
    say(
        f"{given.source} (SHA-256 {given.sha256[:12]}) on {len(result.outcomes):,} test examples, {_scale(options)} protocol"
    )
    say(f"data: {report.name}, {counts(report.counts)}, fingerprint {report.fingerprint}")
    if report.features:
        say(f"features: {report.features}")
    return 0


def load(options: Evaluate) -> nn.Module:
    """Return the network in `options.model` on the device. The given data determine its shape (number of classes or words).

    Raises:
        ValueError: the network cannot be read, does not fit the row, or names other training data.
    """
    option_checks.check(options)
    given = pretrained.read(options.model)
    return network(options, open_task(options), given).eval()


def open_task(options: Evaluate, train: bool = False) -> Task:
    """Open the test data and return the row's task. With `train`, its report also covers the training data, as in a run.

    Raises:
        ValueError: the data cannot be used.
    """
    row, scale = rows.row(options.row), _scale(options)
    recipe = row.recipe(scale, **option_checks.own(row, options))
    data = named_inputs.data(row, options.data)
    with bars() as bar:
        source = named_inputs.open_data(row, recipe, data, options, progress(bar), train)
    device = named_inputs.device(options.device)
    return named_inputs.domain(row).build(recipe, source, derive(row.name, scale, 0), device, None)


def network(options: Evaluate, task: Task, given: Weights) -> nn.Module:
    """Return the task's network with the weights `given`.

    Raises:
        ValueError: they do not fit it, or name other training data.
    """
    named_inputs.require_same_data(rows.row(options.row), given, task.report)
    model = task.model()
    given.load_into(model)
    return model


def _scale(options: Evaluate) -> Scale:
    return options.scale if options.data else "smoke"


def score_lines(scores: dict[str, float], primary: Metric) -> list[str]:
    """Return the scores, one per line, named as in the tables. Each family of metrics follows its explanatory sentence."""
    lines = []
    for family in metrics.families(scores):
        sentence = metrics.sentence(family, primary.name)
        lines += [sentence] if sentence else []
        for name in metrics.ordered(name for name in scores if metrics.family(name) == family):
            text = metrics.with_unit(name, metrics.unit(name, primary.name, primary.unit))
            lines.append(f"{text}: {scores[name]:.3f}")
    return lines
