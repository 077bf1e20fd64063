"""The command `prepare`: make a planned data set from its public download and compare fingerprints with the plan."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import rows
from benchmarks.cli import named_inputs
from benchmarks.cli.console import bars, counts, progress, say
from benchmarks.cli.options import Prepare
from benchmarks.datasets import DATASETS, PLANNED, Dataset, Use
from tasks.data.cache import sha256
from tasks.flickr8k import prepare as captions
from tasks.flickr8k import squeezenet
from tasks.imagenet import prepare as pictures
from tasks.librispeech import mixing
from tasks.librispeech import prepare as speech
from tasks.task import Progress

_ROOT = Path("data")
_PLAIN: Use = ("small", 1.0)


def prepare(options: Prepare) -> int:
    """Make a data set and print its fingerprints; return 1 if one should match the plan and does not.

    Raises:
        ValueError: the source is not as expected, or the target already exists; the message names it.
        OSError: the data set cannot be read or written.
    """
    dataset = DATASETS[options.name]
    if options.snr is not None and options.name != "noisy-digits":
        raise ValueError(f"--snr is for noisy-digits; {options.name} has no noise")
    snr = options.snr or 0
    mixing.require_ratio(snr)
    name = dataset.name(snr)
    target = options.out or _ROOT / name
    if target.exists() or target.is_symlink():
        raise ValueError(f"{target} already exists; remove it or choose another place with --out")
    try:
        if not options.source.exists():
            raise ValueError(f"--from {options.source}: no such file or folder")
        with bars() as bar:
            whole(target, lambda path: _make(options, path, dataset, progress(bar)))
    except ValueError as error:
        sources = "".join(f"\n  {one.name} ({one.url}, {one.licence}): {one.how}" for one in dataset.sources)
        raise ValueError(f"{error}\ndownload:{sources}") from error
    say(f"made {target}")
    return _compare(dataset, name, target)


def whole(target: Path, make: Callable[[Path], None]) -> None:
    """Let `make` write a file or folder under a temporary name, then rename it: it appears complete or not at all.

    Raises:
        OSError: it cannot be written.
    """
    new = [parent for parent in target.parents if not parent.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-", ignore_cleanup_errors=True) as making:
            made = Path(making) / target.name
            make(made)
            made.rename(target)
    finally:
        for parent in new:
            with contextlib.suppress(OSError):  # not empty: it contains the result
                parent.rmdir()


def _make(options: Prepare, target: Path, dataset: Dataset, show: Progress) -> None:
    checksums = {one.name: one.measured for one in dataset.sources if one.measured}
    match options.name:
        case "tiny-imagenet-50":
            pictures.tiny_imagenet(options.source, target, show)
        case "noisy-digits":
            speech.noisy_digits(options.source, target, options.snr or 0, show, checksums)
        case "squeezenet1_0":
            squeezenet.prepare(options.source, target, checksums[squeezenet.NAME])
        case "flickr8k":
            captions.flickr8k(options.source, target, show)


def _compare(dataset: Dataset, name: str, target: Path) -> int:
    """Print each use's fingerprint beside the planned one; return 1 if one should match and does not."""
    planned = PLANNED.get(name, {})
    differs = False
    for use in planned or (_PLAIN,):
        fingerprint, problems = _fingerprint(dataset, target, use)
        for problem in problems:
            say(f"problem: {problem}")
        scale, subset = use
        what = f"{scale} scale" + (f", subset {subset:g}" if subset < 1 else "")
        if use not in planned:
            say(f"{what}: {fingerprint}; this data set is not in the plan")
        else:
            verdict = "matches the plan" if fingerprint == planned[use] else "differs from the plan"
            say(f"{what}: {fingerprint}, planned {planned[use]}: {verdict}")
        differs |= bool(problems) or planned.get(use, fingerprint) != fingerprint
    if differs and not dataset.exact:
        say(f"this is expected: {dataset.note}")
    return int(differs and dataset.exact)


def _fingerprint(dataset: Dataset, target: Path, use: Use) -> tuple[str, tuple[str, ...]]:
    """Return the fingerprint as `verify` prints it, and the problems of the data."""
    if not dataset.row:
        return sha256(target), ()
    row, (scale, subset) = rows.row(dataset.row), use
    with bars() as bar:
        report = named_inputs.domain(row).verify(row.recipe(scale), target, subset, progress(bar))
    say(f"{report.name}: {counts(report.counts)}")
    return report.fingerprint, report.problems
