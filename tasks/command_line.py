"""Parses command lines with tyro. Errors are one-line messages instead of tyro's boxes."""

from __future__ import annotations

import contextlib
import difflib
import io
import re
from collections.abc import Sequence
from typing import Any, get_args

import tyro
from tyro._errors import (  # private: requirements.lock pins tyro's version, and tests fail if a newer version moves these names
    BadValue,
    InstantiationFailure,
    InvalidChoice,
    MissingArgs,
    ParseErrorEvent,
    UnrecognizedArgs,
    on_parse_error,
)
from tyro.conf import FlagCreatePairsOff

_CONVERSIONS = {
    r"^- <class '\w+'>: ": "",
    r"^invalid literal for int\(\) with base 10:": "expected a whole number, got",
    r"^could not convert string to float:": "expected a number, got",
}
"""Patterns of messages of tyro and Python about a value, and their replacements."""


class _RefusedError(Exception):
    def __init__(self, event: ParseErrorEvent) -> None:
        super().__init__()
        self.event = event


def parse(form: Any, words: Sequence[str], prog: str, description: str | None = None) -> Any:
    """Parse a command line into an instance of `form`.

    Args:
        form: a dataclass, or a union of dataclasses, each annotated as a subcommand.
        words: the command line without the program.
        prog: the program as the user types it.
        description: for help; by default the docstring of the dataclass.

    Raises:
        ValueError: an argument is invalid or missing; the message is one line and names it.
        SystemExit: help was requested and printed.
    """
    try:
        return _read(form, words, prog, description)
    except _RefusedError as refused:
        message = _sentence(refused.event, form, words)
    raise ValueError(" ".join(message.split()))


def _read(form: Any, words: Sequence[str], prog: str, description: str | None = None) -> Any:
    def refuse(event: ParseErrorEvent) -> None:
        raise _RefusedError(event)

    with on_parse_error(refuse):
        return tyro.cli(form, prog=prog, description=description, config=(FlagCreatePairsOff,), args=words)


def _sentence(event: ParseErrorEvent, form: Any, words: Sequence[str]) -> str:
    """Return the message for an error that tyro reports."""
    commands = [note.name for annotated in get_args(form) for note in get_args(annotated)[1:]]
    if commands and not words:
        return f"expected a command: {', '.join(commands)}"
    if commands and words[0] not in commands:
        return f"there is no command {words[0]!r}{_nearest(words[0], commands) or '; commands: ' + ', '.join(commands)}"
    match event:
        case UnrecognizedArgs(tokens=[_, *_] as tokens) | MissingArgs(unrecognized_tokens=[_, *_] as tokens):
            return _unknown(tokens, form, words)
        case MissingArgs(missing_arguments=missing):
            return f"{' and '.join(_name(absent.arg) for absent in missing)} {'is' if len(missing) == 1 else 'are'} missing"
        case InvalidChoice(argument=argument, value=value, choices=choices):
            return f"{_name(argument)} {value!r}: expected one of {', '.join(choices)}{_nearest(value, choices)}"
        case BadValue(argument=argument):
            return f"{_name(argument)} is missing{'' if argument.is_positional() else ' its value'}"
        case InstantiationFailure(argument=argument, message=message):
            why = message.splitlines()[-1]
            for tyros, ours in _CONVERSIONS.items():
                why = re.sub(tyros, ours, why)
            return f"{_name(argument)}: {why}" if argument else why
    return f"the command line cannot be read ({type(event).__name__}); see --help"


def _name(argument: Any) -> str:
    name: str = argument.display_name()
    return name.upper() if argument.is_positional() else name


def _unknown(tokens: Sequence[str], form: Any, words: Sequence[str]) -> str:
    """Return the message about unknown arguments: unknown flags and their values, or extra words."""
    unknown = [token.partition("=")[0] for token in tokens if re.match(r"--?[^\W\d]", token)]
    if not unknown:
        return f"there is no place for {tokens[0]!r}"
    known = _flags(form, words)
    return "; ".join(f"there is no flag {_shown(flag)}{_nearest(flag, known)}" for flag in unknown)


def _flags(form: Any, words: Sequence[str]) -> list[str]:
    """Return the flags that the help of the command lists, because tyro has no other list of them."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit, _RefusedError):
        _read(form, [*words[: len(get_args(form)) > 0], "--help"], "")
    return re.findall(r"^. (--[\w-]+)", shown.getvalue(), re.MULTILINE)


def _shown(word: str) -> str:
    return word if word.isprintable() else repr(word)


def _nearest(word: str, known: Sequence[str]) -> str:
    """Return a question that suggests the nearest known word, or ""."""
    longer = [name for name in known if word.strip("-") and name.startswith(word)]
    near = longer or difflib.get_close_matches(word, known, n=1, cutoff=0.7)
    return f" (did you mean {near[0]}?)" if near else ""
