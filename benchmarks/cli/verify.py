"""The command `verify`: check a data set or records."""

from __future__ import annotations

from pathlib import Path

from benchmarks import rows
from benchmarks.audit import checks
from benchmarks.cli import named_inputs
from benchmarks.cli.console import bars, counts, progress, say
from benchmarks.cli.options import Verify
from benchmarks.reporting import results_folder
from tasks.recipe import SCALES, Scale
from tasks.row import Row


def verify(options: Verify) -> int:
    """Verify a data set or records and print the findings; return 1 if training would not start or a check fails."""
    return _verify_records(options.record) if options.row is None else _verify_data(rows.row(options.row), options)


def _verify_records(paths: tuple[Path, ...]) -> int:
    failed = 0
    for path, findings in checks.audit_files(paths, results_folder.check):
        say(str(path))
        for finding in findings:
            say(f"  {finding.status}: {finding.check}: {finding.detail}")
        failed += any(finding.status == "fails" for finding in findings)
    say(f"{len(paths)} records: {f'{failed} fail' if failed else 'every check holds'}")
    return 1 if failed else 0


def _verify_data(row: Row, options: Verify) -> int:
    with bars() as bar:
        data = named_inputs.data(row, options.data)
        report = named_inputs.domain(row).verify(row.recipe(options.scale), data, options.subset, progress(bar))
    for kind, sentences in (("problem", report.problems), ("warning", report.warnings)):
        for sentence in sentences:
            say(f"{kind}: {sentence}")
    # A run's fingerprint also covers a frozen network's features, which `verify` does not extract.
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
    """Return the share of training examples that a recipe trains on."""
    return float(getattr(row.recipe(scale).data, "trained", 1.0))
