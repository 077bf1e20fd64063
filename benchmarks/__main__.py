"""The command line, `python -m benchmarks COMMAND`. Printing help does not load torch."""

from __future__ import annotations

import importlib
import re
import sys
from typing import Annotated

from tyro.conf import subcommand

from benchmarks.cli import option_checks, streams
from benchmarks.cli.options import (
    Compare,
    Estimate,
    Evaluate,
    Evidence,
    PackageWeights,
    Prepare,
    Report,
    Run,
    Status,
    Tables,
    Tensorboard,
    Verify,
)
from tasks import command_line

Command = (
    Annotated[Run, subcommand("run")]
    | Annotated[Estimate, subcommand("estimate")]
    | Annotated[Evidence, subcommand("evidence")]
    | Annotated[Tables, subcommand("tables")]
    | Annotated[Report, subcommand("report")]
    | Annotated[Prepare, subcommand("prepare")]
    | Annotated[Verify, subcommand("verify")]
    | Annotated[Compare, subcommand("compare")]
    | Annotated[Status, subcommand("status")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[PackageWeights, subcommand("package-weights")]
    | Annotated[Tensorboard, subcommand("tensorboard")]
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status.

    0 for success, 1 for a failed check, trial or disk, 2 for invalid input, 75 for a trial that another process is running,
    128 + n for signal n.
    """
    words = sys.argv[1:] if arguments is None else arguments
    streams.settle()
    command: Command | None = None
    try:
        about = "Train baseline and DSD side by side, and make tables from the records."
        command = command_line.parse(Command, words, "python -m benchmarks", about)
        option_checks.check(command)
        return _run(command)
    except ValueError as error:
        _tell(error)
        return getattr(error, "exit_status", 2)
    except KeyboardInterrupt:  # not during training, so there is nothing to save
        streams.complain("interrupted")
        return 130
    except OSError as error:  # a full disk, a read-only folder, a killed loader process
        if command is None and isinstance(error, BrokenPipeError):  # the reader of the help closed the pipe (`| head`)
            return 0
        _tell(error)
        return 1
    except MemoryError as error:
        _tell(MemoryError(f"memory ran out{f': {error}' if str(error) else ''}"))
        return 1


def _run(command: Command) -> int:
    """Run the function with the command's name from the module of that name. Only this module and its imports are loaded."""
    name = re.sub("(?<=[a-z])(?=[A-Z])", "_", type(command).__name__).lower()
    return int(getattr(importlib.import_module(f"benchmarks.cli.{name}"), name)(command))


def _tell(error: Exception) -> None:
    """Print the error once for all processes of a run."""
    if notes := getattr(error, "__notes__", ()):
        from tasks.distributed import TOLD  # errors with notes come from code that has loaded torch

        if TOLD in notes:
            return
    streams.complain(f"error: {error}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        streams.leave()
