"""The command line that reproduces a set of options, as stored in records."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path

from tasks import distributed


def command(name: str, options: object) -> str:
    """Return the command line that parses to `options`, a dataclass of `benchmarks.cli.options`, for the root of a checkout.

    Only the last part of a path is kept: folders differ between machines.

    Raises:
        ValueError: a name is not UTF-8.
    """
    assert dataclasses.is_dataclass(options)
    several = distributed.world_size() > 1
    start = ["torchrun", "--nproc-per-node", str(distributed.local_world_size())] if several else ["python"]
    if distributed.local_world_size() < distributed.world_size():
        start[1:1] = ["--nnodes", str(distributed.world_size() // distributed.local_world_size())]
    return shlex.join([*start, "-m", "benchmarks", *words(name, options)])


def words(name: str, options: object, whole_paths: bool = False) -> list[str]:
    """Return the words after `python -m benchmarks` that parse to `options`. Of each path, keep the last part or the absolute path.

    Raises:
        ValueError: a name is not UTF-8.
    """
    assert dataclasses.is_dataclass(options)
    found = [name]
    for field in dataclasses.fields(options):
        value, flag = getattr(options, field.name), "--" + field.name.replace("_", "-")
        if field.default is dataclasses.MISSING:
            found.append(str(value))
        elif value is True and field.default is not True:
            found.append(flag)
        elif value != field.default:
            found += [flag, *value] if isinstance(value, tuple) else _given(flag, value, whole_paths)
    return found


def _given(flag: str, value: object, whole_paths: bool) -> list[str]:
    """Return the words that pass one value, so that parsing gives the value back."""
    path = isinstance(value, Path) or Path(str(value)).exists()
    if path and whole_paths:
        return [flag, str(Path(str(value)).absolute())]
    word = Path(str(value)).name or str(value) if path else str(value)
    if word == "None":  # a file of that name; the bare word would parse as no value
        word = "./None"
    try:
        word.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{flag} {word!r}: not UTF-8, so a record cannot store it; rename it") from error
    return [f"{flag}={word}"] if word.startswith("-") else [flag, word]  # otherwise it would parse as a flag
