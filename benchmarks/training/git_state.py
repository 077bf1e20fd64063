"""The git state of this checkout: its commit, and whether its code differs from that commit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from benchmarks import ROOT

_PATIENCE = 20.0
"""Timeout of each git call in seconds: git may hang on a dead network folder or on a configured program."""

_KEPT = ("GIT_CONFIG_", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM")
"""GIT_ variables passed to git. Other GIT_ variables could select another repository or index, or change the meaning of paths."""

_OPTIONS = (
    *("--no-optional-locks", "--no-replace-objects"),
    *("-c", "core.fsmonitor=false", "-c", "core.untrackedCache=false"),
)


class _NoAnswerError(Exception):
    """Git gave no answer; the message gives the reason."""


def state() -> tuple[str | None, bool | None, str]:
    """Return the checkout's commit, whether its code differs from it, and a warning if either is unknown (None).

    Changes in results/ and the README do not count, because the harness writes them. New Python files count.
    """
    head = None
    try:
        top = Path(_git("rev-parse", "--show-toplevel")).resolve()
        if top != ROOT:  # unpacked inside another checkout
            raise _NoAnswerError(f"the repository around it is another one, {top}")
        head = _git("rev-parse", "--verify", "HEAD")
        return head, _dirty(), ""
    except _NoAnswerError as error:
        what = "commit" if head is None else "state of the working tree"
        return head, None, f"the {what} is not recorded: {error}"


def _dirty() -> bool:
    ours = ("--", ".", ":!results", ":!README.md")
    tags = [line.partition(" ") for line in _git("ls-files", "-v", "-z", *ours).split("\0")]
    # Lower case: assumed unchanged. S: skipped in the working tree, unless the file exists.
    overlooked = [name for tag, _, name in tags if tag.islower() or (tag == "S" and os.path.lexists(ROOT / name))]
    if overlooked:
        raise _NoAnswerError(f"git was told to overlook changes in {len(overlooked)} files, {overlooked[0]} for one")
    changes = _git("status", "--porcelain", "--untracked-files=no", *ours)
    new = _git("ls-files", "--others", "--exclude-standard", "--", "*.py")
    return bool(changes or new)


def _git(*arguments: str) -> str:
    """Return git's output without the final newline.

    Raises:
        _NoAnswerError: git cannot be run or fails.
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
