"""The command line that gives a set of options, as a record keeps it."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

from tasks import distributed


def command(name: str, options: object) -> str:
    """Return the command line that gives `options`, a dataclass of `benchmarks.cli.options`, as typed at the root of a checkout.

    Of a path only the last part is kept: where a data set lies on one machine helps nobody on another.

    Raises:
        ValueError: a name is not UTF-8.
    """
    assert dataclasses.is_dataclass(options)
    several = distributed.world_size() > 1
    start = ["torchrun", "--nproc-per-node", str(distributed.local_world_size())] if several else ["python"]
    if distributed.local_world_size() < distributed.world_size():
        start[1:1] = ["--nnodes", str(distributed.world_size() // distributed.local_world_size())]
    words = [*start, "-m", "benchmarks", name]
    for field in dataclasses.fields(options):
        value, flag = getattr(options, field.name), "--" + field.name.replace("_", "-")
        if field.default is dataclasses.MISSING:
            words.append(str(value))
        elif value != field.default:
            words += [flag] if value is True else [flag, *value] if isinstance(value, tuple) else _given(flag, value)
    return shlex.join(words)


def _given(flag: str, value: object) -> list[str]:
    """Return the words that give one value, so that it is read as that again."""
    path = isinstance(value, Path) or Path(str(value)).exists()
    word = Path(str(value)).name or str(value) if path else str(value)
    if word == "None":  # the file; alone it is read as nothing
        word = "./None"
    try:
        word.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{flag} {word!r}: not UTF-8, which no record could hold; rename it") from error
    return [f"{flag}={word}"] if word.startswith("-") else [flag, word]  # else it is read as a flag
