"""The commands that train nothing: `verify`, `status`, `evaluate`."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from benchmarks import audit, inputs, metrics, record, registry
from benchmarks.console import bars, counts, progress, say, show
from benchmarks.options import Evaluate, Verify
from benchmarks.registry import ROWS, Row
from tasks import weights
from tasks.recipe import SCALES, Metric, Scale
from tasks.seed import derive


def verify(options: Verify) -> int:
    """Print what verification of a data set or of records finds; return 1 if training would not start, or a check fails."""
    return _verify_records(options.record) if options.row is None else _verify_data(registry.row(options.row), options)


def _verify_records(paths: tuple[Path, ...]) -> int:
    failed = 0
    for path, findings in audit.audit_files(paths):
        say(str(path))
        for one in findings:
            say(f"  {one.status}: {one.check}: {one.detail}")
        failed += any(one.status == "fails" for one in findings)
    say(f"{len(paths)} records: {f'{failed} fail' if failed else 'every check holds'}")
    return 1 if failed else 0


def _verify_data(row: Row, options: Verify) -> int:
    with bars() as bar:
        data = inputs.data(row, options.data)
        report = inputs.domain(row).verify(row.recipe(options.scale), data, options.subset, progress(bar))
    for kind, sentences in (("problem", report.problems), ("warning", report.warnings)):
        for sentence in sentences:
            say(f"{kind}: {sentence}")
    # What a run calls the fingerprint also covers a frozen network's features, which nothing here asks for.
    say(f"{report.name}: {counts(report.counts)}; {'files' if row.frozen else 'fingerprint'} {report.fingerprint}")
    if report.published:
        say(report.published)
    if few := [
        scale
        for scale in SCALES
        if report.counts["train"] * _share(row, scale) / _share(row, options.scale) < row.recipe(scale).batch_size
    ]:
        say(f"too few training examples for a batch at {' and '.join(few)} scale")
    usable = not report.problems and len(few) < len(SCALES)
    say(f"usable for {row.name}" if usable else "not usable")
    return 0 if usable else 1


def _share(row: Row, scale: Scale) -> float:
    """Return the share of the training examples that a recipe trains on."""
    return float(getattr(row.recipe(scale).data, "trained", 1.0))


def status(out: Path | None) -> int:
    """Print what there is of every row: finished seeds, failures, and checkpoints from which a run goes on."""
    folders = [out] if out else [Path("results"), Path("runs")]
    table = Table("row", "scale", "data", "finished seeds", "failed", "unfinished", box=None, padding=(0, 2, 0, 0))
    found = [one for folder in folders for one in record.read_all(folder / "records")]
    unfinished = [path.parent.name for folder in folders for path in sorted(folder.glob("checkpoints/*/trial.pt"))]
    for name in ROWS:
        for scale in SCALES:
            trials = [one for one in found if (one.row, one.scale) == (name, scale)]
            waiting = [key for key in unfinished if key.startswith(f"{name}-{scale}-")]
            for data in sorted({one.data.name for one in trials}) or ([""] if waiting else []):
                mine = [one for one in trials if one.data.name == data]
                seeds = sorted({one.seed for one in mine if one.status == "finished"})
                failed = sum(one.status == "failed" for one in mine)
                cells = (", ".join(map(str, seeds)) or "-", str(failed), ", ".join(waiting) or "-")
                table.add_row(name, scale, escape(data), *cells)
        if not any(one.row == name for one in found) and not any(key.startswith(name) for key in unfinished):
            table.add_row(name, "-", "-", "-", "-", "-")
    show(table)
    return 0


def evaluate(options: Evaluate) -> int:
    """Print a network's scores under a row's protocol.

    Raises:
        ValueError: the network cannot be read, does not fit, or says that it was trained on other data.
    """
    row = registry.row(options.row)
    scale: Scale = options.scale if options.data else "smoke"
    frozen = inputs.frozen(row, options)
    given = weights.read(options.model)
    recipe = row.recipe(scale, network=options.network)
    domain = inputs.domain(row)
    with bars() as bar:
        data = inputs.data(row, options.data)
        source = domain.open_data(recipe, data, options.subset, progress(bar), train=False, frozen=frozen)
    report = source.report
    inputs.require_same_data(given, report)
    task = domain.build(recipe, source, derive(row.name, scale, 0), inputs.device(options.device), None)
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
    """Return the scores a line each, called as the tables call them, a family at a time below what must be known of it."""
    found = []
    for family in metrics.families(scores):
        sentence = metrics.sentence(family, primary.name)
        found += [sentence] if sentence else []
        for name in metrics.ordered(name for name in scores if metrics.family(name) == family):
            text = metrics.with_unit(name, metrics.unit(name, primary.name, primary.unit))
            found.append(f"{text}: {scores[name]:.3f}")
    return found
