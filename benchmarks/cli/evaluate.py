"""The command `evaluate`: score a network with a row's evaluation protocol."""

from __future__ import annotations

from benchmarks import rows
from benchmarks.analysis import metrics
from benchmarks.cli import named_inputs, option_checks
from benchmarks.cli.console import bars, counts, progress, say
from benchmarks.cli.options import Evaluate
from tasks import pretrained
from tasks.random_streams import derive
from tasks.recipe import Metric, Scale


def evaluate(options: Evaluate) -> int:
    """Print a network's scores under a row's evaluation protocol.

    Raises:
        ValueError: the network cannot be read, does not fit the row, or names other training data.
    """
    row = rows.row(options.row)
    scale: Scale = options.scale if options.data else "smoke"
    given = pretrained.read(options.model)
    recipe = row.recipe(scale, **option_checks.own(row, options))
    with bars() as bar:
        source = named_inputs.open_data(
            row, recipe, named_inputs.data(row, options.data), options, progress(bar), train=False
        )
    report = source.report
    named_inputs.require_same_data(row, given, report)
    task = named_inputs.domain(row).build(
        recipe, source, derive(row.name, scale, 0), named_inputs.device(options.device), None
    )
    model = task.model()
    given.load_into(model)
    result = task.evaluate(model, True)
    for warning in report.warnings:
        say(f"warning: {warning}")
    for line in score_lines(result.metrics, task.metric):
        say(line)
    say(f"{given.source} (SHA-256 {given.sha256[:12]}) on {len(result.outcomes):,} test examples, {scale} protocol")
    say(f"data: {report.name}, {counts(report.counts)}, fingerprint {report.fingerprint}")
    if report.features:
        say(f"features: {report.features}")
    return 0


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
