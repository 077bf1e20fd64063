"""The command that makes data sets: its check of their fingerprints, its errors, and the files that remain."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.cli import prepare
from benchmarks.datasets import PLANNED
from tasks.flickr8k import prepare as captions
from tasks.flickr8k import synthetic

REAL = Path(os.environ.get("DSD_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
real = pytest.mark.skipif(
    not REAL.is_dir(), reason="needs data under ../shared/data or $DSD_SHARED_DATA, which is not distributed"
)


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@real
@pytest.mark.parametrize("snr", [0, 10])
def test_noisy_digits_have_the_planned_samples_whichever_machine_makes_them(
    snr: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = {0: "29db07415aaf360a", 10: "d55e6a37b5bcefa3"}[snr]
    out = tmp_path / "made" / "digits"
    assert main(["prepare", "noisy-digits", "--from", str(REAL / "speech"), "--snr", str(snr), "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "digits: 1,560 train, 150 dev, 756 test, 3,716 train seconds, 6 speakers" in lines
    assert f"small scale: {planned}, planned {planned}: matches the plan" in lines
    assert files(tmp_path)[:3] == ["made", "made/digits", "made/digits/SPEAKERS.TXT"]


@real
def test_the_weights_land_in_data_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["prepare", "squeezenet1_0", "--from", str(REAL / "weights")]
    assert main(command) == 0
    assert ": matches the plan" in capsys.readouterr().out
    assert files(tmp_path) == ["data", "data/squeezenet1_0-imagenet-pruned.safetensors"]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: data/squeezenet1_0-imagenet-pruned.safetensors already exists; remove it or choose")
    monkeypatch.setitem(PLANNED, "squeezenet1_0-imagenet-pruned.safetensors", {("small", 1.0): "0" * 64})
    assert main([*command, "--out", "other.safetensors"]) == 1
    assert f", planned {'0' * 64}: differs from the plan" in capsys.readouterr().out


def test_official_pictures_have_another_fingerprint_which_is_said_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    synthetic.generate(tmp_path / "source", train=6, dev=2, test=3)
    monkeypatch.setattr(captions, "flickr8k", functools.partial(captions.flickr8k, pictures=11))
    out = tmp_path / "flickr8k"
    assert main(["prepare", "flickr8k", "--from", str(tmp_path / "source"), "--out", str(out)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "planned 041b1d0225f18fdc: differs from the plan" in told
    assert "this is expected: the results were made with pictures resized to 128 x 128 and encoded again" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny-imagenet-50"], "has no val/val_annotations.txt"),
        (["noisy-digits"], "has no kitchen.wav or noise/kitchen.wav"),
        (["squeezenet1_0"], "compressed_SqueezeNet.net is not there"),
        (["flickr8k"], "has no Flicker8k_Dataset/ and Flickr8k.token.txt"),
    ],
)
def test_a_wrong_folder_is_named_with_where_to_get_the_right_one(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "deep" / "er" / "out"
    assert main(["prepare", *arguments, "--from", str(tmp_path / "empty"), "--out", str(out)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {tmp_path / 'empty'}")
    assert message in told
    assert "\ndownload:\n  " in told
    assert "http" in told
    assert files(tmp_path) == ["empty"]
    assert main(["prepare", *arguments, "--from", str(tmp_path / "nowhere"), "--out", str(out)]) == 2
    assert capsys.readouterr().err.startswith(f"error: --from {tmp_path / 'nowhere'}: no such file or folder")


@pytest.mark.parametrize(
    ("name", "file"), [("noisy-digits", "kitchen.wav"), ("squeezenet1_0", "compressed_SqueezeNet.net")]
)
def test_a_wrong_checksum_is_told(name: str, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / file).write_bytes(b"RIFF")
    assert main(["prepare", name, "--from", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "the SHA-256 a40ff3d5900fb769" in capsys.readouterr().err
    assert files(tmp_path) == [file]


def test_a_ratio_is_for_noisy_digits_and_has_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "flickr8k", "--from", str(tmp_path), "--snr", "3"]) == 2
    assert capsys.readouterr().err == "error: --snr is for noisy-digits; flickr8k has no noise\n"
    assert main(["prepare", "noisy-digits", "--from", str(tmp_path), "--snr", "100"]) == 2
    assert capsys.readouterr().err == "error: snr=100: expected -20 to 60 dB\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, ValueError])
def test_what_is_interrupted_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    def make(path: Path) -> None:
        path.mkdir()
        (path / "half").touch()
        raise error

    with pytest.raises(error):
        prepare.whole(tmp_path / "a" / "b" / "set", make)
    assert files(tmp_path) == []
    prepare.whole(tmp_path / "a" / "set", Path.mkdir)
    assert files(tmp_path) == ["a", "a/set"]
