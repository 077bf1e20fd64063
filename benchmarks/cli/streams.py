"""Robust standard output and error: for any encoding, closed pipes and missing streams."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

_ERRORS = "dsd.plain"
_HELP = 100  # columns
_PLAIN = {
    "\N{MIDDLE DOT}": "-",
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
}
"""Replacements for characters that an encoding lacks. All others are written as escapes, such as \\xe9."""


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in characters), error.end


codecs.register_error(_ERRORS, _plain)


def settle() -> None:
    """Make standard output and error accept every character in any encoding; replace a missing stream by the null device.

    When output is not a terminal, help is at least 100 columns wide, so that long names are not broken.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # the parent process closed it (`>&-`)
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)
    columns = os.environ.get("COLUMNS", "80")
    if not Output().isatty() and (not columns.isdigit() or int(columns) < _HELP):
        os.environ["COLUMNS"] = str(_HELP)


def complain(text: str) -> None:
    """Write a line to standard error if it is still open."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stream = _own(sys.stderr)
        stream.write(f"{text}\n")
        stream.flush()


def leave() -> None:
    """Flush both streams at exit. A reader that has closed the pipe (`| head`) is not an error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _detach(stream)


class Output:
    """The current standard output. Text that can no longer be written is dropped.

    A closed terminal, a closed pipe or a log on a full disk must not end training. The first failure is reported on standard
    error, except for a closed pipe.
    """

    def __init__(self) -> None:
        self._reported = False

    def write(self, text: str) -> int:
        """Write `text` if possible."""
        return self._try(lambda stream: stream.write(text)) or 0

    def flush(self) -> None:
        """Flush the buffer if possible."""
        self._try(lambda stream: stream.flush())

    def isatty(self) -> bool:
        """Whether standard output is a terminal."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return sys.stdout.isatty()
        return False

    def fileno(self) -> int:
        """Return the file descriptor.

        Raises:
            OSError: there is none.
        """
        return sys.stdout.fileno()

    @property
    def encoding(self) -> str:
        """The encoding."""
        return getattr(sys.stdout, "encoding", None) or "utf-8"

    def _try(self, what: Callable[[TextIO], int | None]) -> int | None:
        stream = _own(sys.stdout)
        try:
            return what(stream)
        except UnicodeEncodeError:
            if not isinstance(stream, io.TextIOWrapper):
                raise
            stream.reconfigure(errors=_ERRORS)  # other code has replaced the stream since `settle`
            return what(stream)
        except BrokenPipeError:
            _detach(stream)
        except OSError as error:
            if not self._reported:
                complain(f"cannot write to standard output ({error.strerror}); continuing without it")
            self._reported = True
            _detach(stream)
        except ValueError:  # closed
            pass
        return None


def _own(stream: TextIO) -> TextIO:
    """Return the underlying stream. While rich shows a bar, it wraps the stream in a proxy that would call us again."""
    return getattr(stream, "rich_proxied_file", stream)


def _detach(stream: TextIO) -> None:
    """Redirect a failing stream to the null device, so that nothing is raised again, not even at exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
