"""The command line, `python -m benchmarks COMMAND`, parsed nowhere else. Printing help loads no torch."""

from __future__ import annotations

import sys
from typing import Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, subcommand

from benchmarks.options import Compare, Estimate, Evaluate, Evidence, Report, Run, Status, Tables, Verify

Command = (
    Annotated[Run, subcommand("run")]
    | Annotated[Estimate, subcommand("estimate")]
    | Annotated[Evidence, subcommand("evidence")]
    | Annotated[Tables, subcommand("tables")]
    | Annotated[Report, subcommand("report")]
    | Annotated[Verify, subcommand("verify")]
    | Annotated[Compare, subcommand("compare")]
    | Annotated[Status, subcommand("status")]
    | Annotated[Evaluate, subcommand("evaluate")]
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, 1 where a check, a trial or the disk failed, 2 for wrong input, 128 + n for signal n."""
    words = sys.argv[1:] if arguments is None else arguments
    command = tyro.cli(
        Command,
        prog="python -m benchmarks",
        description="Train baseline and DSD side by side, and make tables from the records.",
        config=(FlagCreatePairsOff,),
        args=words,
    )
    # Loaded here, so that printing help costs no torch.
    from benchmarks import commands, comparison, estimate, evidence, inspection, publish
    from tasks.processes import TOLD

    try:
        match command:
            case Estimate():  # before Run, whose flags it has
                return estimate.estimate(command)
            case Run():
                return commands.run(command)
            case Evidence():
                return evidence.evidence(command)
            case Tables():
                return publish.tables(command)
            case Report():
                return publish.report(command)
            case Verify():
                return inspection.verify(command)
            case Compare():
                return comparison.run(command)
            case Status():
                return inspection.status(command.out)
            case Evaluate():
                return inspection.evaluate(command)
    except ValueError as error:
        if TOLD not in getattr(error, "__notes__", ()):
            sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:  # while nothing is trained: nothing to save
        sys.stderr.write("interrupted\n")
        return 130
    except OSError as error:  # a full disk, a folder that may not be written
        if TOLD not in getattr(error, "__notes__", ()):
            sys.stderr.write(f"error: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
