"""The command line with any words: it ends with an exit status and a sentence, never a traceback. And the command in records."""

from __future__ import annotations

import dataclasses
import io
import os
import shlex
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import tyro
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tyro.conf import FlagCreatePairsOff

from benchmarks.__main__ import Command, main
from benchmarks.cli import evaluate, recorded_command, run, status, tables, verify
from benchmarks.cli.options import Evaluate, Run, Status, Tables, Verify
from benchmarks.rows import ROWS
from tests.trust.fuzzing import FUZZ

ROW = "imagenet_googlenet"
COMMANDS = {"run": Run, "tables": Tables, "verify": Verify, "status": Status, "evaluate": Evaluate}
FLAGS = sorted({"--" + field.name.replace("_", "-") for one in COMMANDS.values() for field in dataclasses.fields(one)})

# Words that a shell can pass: they have no NUL, and bytes that are not UTF-8 become lone surrogates.
SHELL = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("\udcff-=#'\"\n"), max_size=12
)
NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.sampled_from(("0", "1", "1e400", "0x1", "1_0", "--1")),
)
WORDS = st.one_of(
    SHELL,
    NUMBERS,
    st.sampled_from(
        (*FLAGS, *COMMANDS, *ROWS, "control", "dsd", "smoke", "small", "cpu", "None", "True", "--", "-", "")
    ),
    st.sampled_from(("a" * 300, "a/" * 3000, "/dev/null", "/proc/self/mem", "..")),
    st.builds("{}={}".format, st.sampled_from(FLAGS), st.one_of(SHELL, NUMBERS)),
)


@FUZZ
@given(st.lists(WORDS, max_size=8), st.sampled_from(("", *COMMANDS)), st.sampled_from(("", *ROWS)))
@example(["--subset", "nan"], "run", ROW)
@example(["--arms"], "run", ROW)
@example(["--data", "\udcff"], "verify", ROW)
def test_any_words_give_options_or_the_usage(words: list[str], command: str, row: str) -> None:
    arguments = [word for word in (command, row) if word] + words
    told: list[object] = []

    def done(options: object) -> int:
        told.append(options)
        return 0

    with (
        mock.patch.object(run, "run", done),
        mock.patch.object(tables, "tables", done),
        mock.patch.object(verify, "verify", done),
        mock.patch.object(status, "status", done),
        mock.patch.object(evaluate, "evaluate", done),
        mock.patch("sys.stderr", io.StringIO()) as stderr,
    ):
        code = ended(arguments)
    assert code == 0 if told else code in (0, 2)
    said = stderr.getvalue()
    assert (said.startswith("error: ") and said.count("\n") == 1) == (code == 2)
    assert len(told) <= 1


def ended(arguments: list[str]) -> object:
    """Return the exit status of the command line."""
    try:
        return main(arguments)
    except SystemExit as stop:  # help was asked for
        return stop.code


class _ReachedError(Exception):
    """The command has passed all checks and opens data."""


EARLY = st.fixed_dictionaries(
    {},
    optional={
        "--data": st.sampled_from(("/nonexistent", "\udcff", "a" * 300, "a\nb", "", "/dev/null")),
        "--subset": NUMBERS,
        "--seeds": st.integers(-3, 3).map(str),
        "--first-seed": st.integers(-3, 3).map(str),
        "--scale": st.sampled_from(("smoke", "small", "paper")),
        "--sparsity": NUMBERS,
        "--lr-factor": NUMBERS,
        "--network": SHELL | st.just("vgg16"),
        "--weights": SHELL | st.just("a" * 300),
        "--dense": SHELL | st.sampled_from(("a" * 300, "/", "/dev/null")),
    },
)


@FUZZ
@given(st.sampled_from(("run", "verify", "evaluate")), st.sampled_from(sorted(ROWS)) | SHELL, EARLY)
@example("run", ROW, {"--lr-factor": "nan"})
@example("run", ROW, {"--lr-factor": "inf"})
@example("run", ROW, {"--sparsity": "nan"})
@example("run", ROW, {"--dense": "a" * 300})
@example("verify", ROW, {"--data": "/dev/null"})
@example("verify", "\udcff", {})
def test_whatever_the_values_it_ends_in_a_sentence(command: str, row: str, flags: dict[str, str]) -> None:
    arguments = [command, row, *(f"{flag}={value}" for flag, value in flags.items()), "--out=fuzzed"]
    arguments = [word for word in arguments if word.split("=")[0] in _flags_of(command)] + ["--model=none"] * (
        command == "evaluate"
    )
    module = mock.Mock()
    module.open_data.side_effect = module.verify.side_effect = _ReachedError
    module.embedded.return_value = Path("embedded")
    with (
        mock.patch("benchmarks.cli.named_inputs.domain", return_value=module),
        mock.patch.object(run, "_probe"),
        mock.patch("sys.stderr", io.StringIO()) as stderr,
    ):
        try:
            status = ended(arguments)
        except _ReachedError:
            return
    said = stderr.getvalue()
    assert status in (1, 2)
    assert said.startswith("error: ")
    assert said.strip() != "error:"


def _flags_of(command: str) -> set[str]:
    named = {"--" + field.name.replace("_", "-") for field in dataclasses.fields(COMMANDS[command])}
    return {command, *named} | ({"--model"} if command == "evaluate" else set())


NAMES = st.one_of(
    st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(("-x", "--fresh", "None", "..", ".", "", "a b", "\u00e9", "-1", "a'b", "a\nb")),
)
FINITE = st.floats(allow_nan=False)
OPTIONS = st.builds(
    Run,
    row=st.sampled_from(sorted(ROWS)),
    scale=st.sampled_from(("smoke", "small", "paper")),
    data=st.none() | NAMES.map(lambda name: Path(name)),
    seeds=st.none() | st.integers(),
    first_seed=st.integers(),
    arms=st.lists(st.sampled_from(("control", "dsd", "llr", "random")), min_size=1, unique=True).map(tuple),
    device=st.sampled_from(("auto", "cpu", "cuda")),
    subset=FINITE,
    weights=st.none() | NAMES,
    network=st.none() | NAMES,
    out=st.none() | NAMES.map(lambda name: Path(name)),
    fresh=st.booleans(),
    dense=st.none() | NAMES,
    sparsity=st.none() | FINITE,
    lr_factor=st.none() | FINITE,
    workers=st.none() | st.integers(),
    save_weights=st.booleans(),
)


def parsed(line: str) -> Any:
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "benchmarks"]
    return tyro.cli(Command, args=words[3:], config=(FlagCreatePairsOff,), console_outputs=False)


@FUZZ
@given(OPTIONS)
@example(Run(ROW, dense="-x"))  # once printed as a flag of that name
@example(Run(ROW, data=Path("None")))  # once read back as no data
@example(Run(ROW, data=Path("--fresh")))
@example(Run(ROW, sparsity=-1e-9, first_seed=-5))
@example(Run(ROW, data=Path()))
@example(Run(ROW, dense="."))
def test_the_command_that_a_record_keeps_gives_the_same_options(options: Run) -> None:
    assume(options.weights != "None" and options.network != "None" and options.dense != "None")  # recorded as ./None
    assert parsed(recorded_command.command("run", options)) == options


def test_a_path_that_no_record_can_hold_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match=r"--data 'a\\udcff': not UTF-8"):
        recorded_command.command("run", Run(ROW, data=Path(os.fsdecode(b"a\xff"))))
