"""Overfitting a few utterances: success, the report of a failure, and errors for wrong input."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasks.librispeech import overfit, synthetic

SMALL = ("--width", "64", "--batch-size", "4")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("speech") / "set"
    synthetic.generate(root, train=6, dev=1, test=1)
    return root


def scores(printed: str) -> list[tuple[int, float]]:
    found = re.findall(r"^epoch (\d+): training loss [\d.]+, WER ([\d.]+) %, CER [\d.]+ %$", printed, re.MULTILINE)
    return [(int(epoch), float(wer)) for epoch, wer in found]


def test_all_folders_are_learnt_and_tested_on(root: Path) -> None:
    heard = overfit.source(root, lambda *_: None)
    assert heard.train is heard.test
    assert len(heard.test) == len(heard.utterances) == heard.report.counts["train"] == 8
    assert {utterance.subset for utterance in heard.utterances} == {"train", "dev", "test"}


def test_a_few_utterances_are_learnt_by_heart(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert overfit.main([str(root), *SMALL, "--epochs", "60"]) == 0
    *before, (last, wer) = scores(capsys.readouterr().out)
    assert [epoch for epoch, _ in before] == list(range(10, last, 10))
    assert all(earlier >= overfit.LEARNT for _, earlier in before)
    assert wer < 5


def test_what_was_not_learnt_fails(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert overfit.main([str(root), *SMALL, "--epochs", "2"]) == 1
    printed = capsys.readouterr().out
    ((epoch, wer),) = scores(printed)
    assert epoch == 2  # the last epoch is scored, although it is not the tenth
    assert wer > 50
    assert printed.endswith("not learnt: no WER is below 5 %\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--batch-size", "9"), "batch_size=9: expected 1 to 8, the number of training utterances"),
        (("--width", "0"), "width=0: expected at least 1"),
        (("--epochs", "0"), "dense phase: epochs must be positive, got 0"),
    ],
)
def test_wrong_input_is_named(
    root: Path, options: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert overfit.main([str(root), *options]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "DATA is missing"),
        (["DIR", "--widt", "64"], "there is no flag --widt (did you mean --width?)"),
        (["DIR", "--epochs", "ten"], "--epochs: expected a whole number, got 'ten'"),
    ],
)
def test_wrong_words_are_answered_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert overfit.main(words) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"error: {message}\n")


def test_a_folder_without_speech_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert overfit.main([str(tmp_path)]) == 2
    assert f"error: {tmp_path} has no folders whose names begin with train or test" in capsys.readouterr().err
