"""What git says of this checkout, and of no other: its commit, and whether code in it differs from that."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from benchmarks import ROOT

_PATIENCE = 20.0
"""Seconds for each question: git may wait for a dead network folder, or for a program that a configuration names."""

_KEPT = ("GIT_CONFIG_", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
"""Variables that say how git works. Any other may name another repository or index, or change what a path means."""

_OPTIONS = (
    *("--no-optional-locks", "--no-replace-objects"),
    *("-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false"),
)


class _NoAnswerError(Exception):
    """Git gave none; the message says why."""


def state() -> tuple[str | None, bool | None, str]:
    """Return the checkout's commit, whether code in it differs from that, and a warning where either is not known: None.

    Changes in results/ and in the README, which the harness itself writes, do not count; a new file of code does.
    """
    head = None
    try:
        top = Path(_git("rev-parse", "--show-toplevel")).resolve()
        if top != ROOT:  # unpacked inside somebody else's checkout
            raise _NoAnswerError(f"the repository around it is another one, {top}")
        head = _git("rev-parse", "--verify", "HEAD")
        return head, _dirty(), ""
    except _NoAnswerError as error:
        what = "commit" if head is None else "state of the working tree"
        return head, None, f"the {what} is not recorded: {error}"


def _dirty() -> bool:
    ours = ("--", ".", ":!results", ":!README.md")
    tags = [line.partition(" ") for line in _git("ls-files", "-v", "-z", *ours).split("\0")]
    # In lower case: assumed to be unchanged. S: left out of the working tree, unless it is there all the same.
    overlooked = [name for tag, _, name in tags if tag.islower() or (tag == "S" and os.path.lexists(ROOT / name))]
    if overlooked:
        raise _NoAnswerError(f"git was told to overlook changes in {len(overlooked)} files, {overlooked[0]} for one")
    changes = _git("status", "--porcelain", "--untracked-files=no", *ours)
    new = _git("ls-files", "--others", "--exclude-standard", "--", "*.py")
    return bool(changes or new)


def _git(*arguments: str) -> str:
    """Return what git prints, without the line's end.

    Raises:
        _NoAnswerError: it cannot be asked, or says that it cannot tell.
    """
    environment = {name: value for name, value in os.environ.items() if name.startswith(_KEPT) or name[:4] != "GIT_"}
    environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", *_OPTIONS, *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _NoAnswerError(f"git did not answer within {_PATIENCE:g} s") from error
    except OSError as error:
        raise _NoAnswerError(f"git cannot be started ({error.strerror})") from error
    if done.returncode:
        said = os.fsdecode(done.stderr).strip().splitlines() or [f"exit status {done.returncode}"]
        raise _NoAnswerError(f"git says: {said[0]}")
    return os.fsdecode(done.stdout).removesuffix("\n")
