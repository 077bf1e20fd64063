"""Standard output and error as users have them: of any encoding, into pipes that close, or not there at all."""

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
"""What stands for characters that an encoding lacks; any other is written as its escape, such as \\xe9."""


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in characters), error.end


codecs.register_error(_ERRORS, _plain)


def settle() -> None:
    """Let standard output and error take every character, whatever their encoding; give a place to what has none.

    Where nobody looks on, help is not folded to a narrow terminal's width, at which no name stays whole.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us (`>&-`)
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)
    columns = os.environ.get("COLUMNS", "80")
    if not Output().isatty() and (not columns.isdigit() or int(columns) < _HELP):
        os.environ["COLUMNS"] = str(_HELP)


def complain(text: str) -> None:
    """Write a line on standard error, if it is still there."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stream = _own(sys.stderr)
        stream.write(f"{text}\n")
        stream.flush()


def leave() -> None:
    """Write out what is left at the end; a reader that has gone (`| head`) is no error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _detach(stream)


class Output:
    """Standard output, whichever it is when something is written; what it no longer takes is dropped.

    A terminal that is gone, a pipe whose reader has left or a log on a full disk must end no training. Standard error is told
    once, but of a pipe's reader.
    """

    def __init__(self) -> None:
        self._told = False

    def write(self, text: str) -> int:
        """Write `text`, if that is still possible."""
        return self._try(lambda stream: stream.write(text)) or 0

    def flush(self) -> None:
        """Write out what is buffered, if that is still possible."""
        self._try(lambda stream: stream.flush())

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return sys.stdout.isatty()
        return False

    def fileno(self) -> int:
        """Return its number.

        Raises:
            OSError: it has none.
        """
        return sys.stdout.fileno()

    @property
    def encoding(self) -> str:
        """Its encoding."""
        return getattr(sys.stdout, "encoding", None) or "utf-8"

    def _try(self, what: Callable[[TextIO], int | None]) -> int | None:
        stream = _own(sys.stdout)
        try:
            return what(stream)
        except UnicodeEncodeError:
            if not isinstance(stream, io.TextIOWrapper):
                raise
            stream.reconfigure(errors=_ERRORS)  # somebody has put another one in its place since `settle`
            return what(stream)
        except BrokenPipeError:
            _detach(stream)
        except OSError as error:
            if not self._told:
                complain(f"standard output cannot be written ({error.strerror}): going on without it")
            self._told = True
            _detach(stream)
        except ValueError:  # it was closed
            pass
        return None


def _own(stream: TextIO) -> TextIO:
    """Return the stream itself. As long as rich shows a bar, its own stands before it, which would write to us again."""
    return getattr(stream, "rich_proxied_file", stream)


def _detach(stream: TextIO) -> None:
    """Let a stream that fails lead nowhere, so that nothing is raised again, not even when Python ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
