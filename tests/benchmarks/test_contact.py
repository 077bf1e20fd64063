from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.analysis import samples
from benchmarks.analysis.groups import group_records
from benchmarks.analysis.samples import Sample
from benchmarks.analysis.word_errors import Word
from benchmarks.records.schema import Arm, Record
from benchmarks.reporting import results_folder
from benchmarks.reporting.figures import contact, files
from tests.golden import build, captioning

LONG = "a very long caption of many small words that go on and on " * 6


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def draw(path: Path, shown: list[Sample], title: str = "title") -> NDArray[np.uint8]:
    contact.draw(shown, title, {"dsd": "DSD"}, {"dsd": "#D55E00"}, path, "source")
    return pixels(path)


def test_no_line_is_wider_than_it_may_be_and_no_word_is_lost() -> None:
    lines = contact.wrap(LONG, 3.0)
    assert len(lines) > 4
    assert " ".join(lines).split() == LONG.split()
    narrow = contact.wrap("x" * 100 + " end", 1.0)
    assert len(narrow) > 3
    assert "".join(narrow).replace("end", "").strip() == "x" * 100
    assert contact.wrap("", 1.0) == [""]
    assert len(contact.wrap("m" * 40, 3.0)) > len(contact.wrap("i" * 40, 3.0)) == 1  # by width, not by letters


@pytest.mark.parametrize("text", [LONG, "m" * 300, "$x^2$ and $y", "W" * 30])
def test_nothing_is_cut_off_at_the_edges(tmp_path: Path, text: str) -> None:
    drawn = draw(tmp_path / "a.png", [Sample(f"{text}.jpg", text, {"dsd": text})] * 2, title=text)
    margin = 20  # of 30 pixels
    for edge in (drawn[:margin], drawn[-margin:], drawn[:, :margin], drawn[:, -margin:]):
        assert (edge == 255).all()
    assert (drawn < 128).any()


def test_the_sheet_grows_with_what_is_said(tmp_path: Path) -> None:
    short = draw(tmp_path / "short.png", [Sample("a.jpg", "a dog", {"dsd": ""})])
    long = draw(tmp_path / "long.png", [Sample("a.jpg", "a dog", {"dsd": LONG})])
    assert long.shape[0] > short.shape[0]
    assert long.shape[1] == short.shape[1] == 1200


def test_the_sheet_is_of_the_lowest_seed_that_has_captions() -> None:
    found = build.captions()
    (group,) = group_records(found)
    source = samples.source(group)
    assert source is not None
    assert source.seed == 0
    shown = samples.shown(group)
    assert [one.example for one in shown] == list(captioning.PICTURES)
    assert shown[1].said == {
        "dense": "a caption of quality 17 for 1 dogs",
        "control": "a caption of quality 20 for 1 dogs",
        "dsd": "a caption of quality 21 for 1 dogs",
    }
    assert samples.shown(group_records(build.trio())[0]) == []


def test_pictures_that_an_arm_lacks_are_left_out() -> None:
    record = build.captions((1,))[0]
    dsd = record.arms["dsd"]
    record = record.model_copy(
        update={"arms": record.arms | {"dsd": dsd.model_copy(update={"samples": dsd.samples[1:]})}}
    )
    assert [one.example for one in samples.shown(group_records([record])[0])] == list(captioning.PICTURES[1:])


def test_the_sheet_belongs_to_the_results_and_is_the_same_again(tmp_path: Path) -> None:
    found = build.captions()
    name = "flickr8k_neuraltalk-paper-captions.png"
    files.write(tmp_path, found)
    results_folder.write(tmp_path, found)
    assert results_folder.check(tmp_path, found) == []
    first = (tmp_path / "figures" / name).read_bytes()
    assert len(first) < 150_000
    files.sheet(group_records(found)[0], tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == first
    page = (tmp_path / "tables" / "flickr8k_neuraltalk.md").read_text(encoding="utf-8")
    assert f"(../figures/{name})" in page
    assert "| a caption of quality 20 for 1 dogs | a caption of quality 21 for 1 dogs |" in page
    assert r"an entry way \| with a pipe" in page
    (tmp_path / "figures" / name).unlink()
    assert results_folder.check(tmp_path, found) == [f"figures/{name}"]
    files.write(tmp_path, build.trio())
    files.write(tmp_path, found)
    assert results_folder.check(tmp_path, found) == []


def test_a_users_own_pictures_are_drawn_and_a_missing_one_is_named(tmp_path: Path) -> None:
    for picture, size in zip(captioning.PICTURES, ((300, 200), (200, 300), (40, 40)), strict=True):
        Image.new("RGB", size, (0, 200, 30)).save(tmp_path / picture)
    files.sheet(group_records(build.captions())[0], tmp_path / "with.png", pictures=tmp_path)
    files.sheet(group_records(build.captions())[0], tmp_path / "without.png")
    green = [
        (abs(pixels(tmp_path / f"{name}.png").astype(int) - (0, 200, 30)) < 9).all(axis=2).sum()
        for name in ("with", "without")
    ]
    # At 150 dots an inch 1.35 inches are 202: 202 x 135, 135 x 202 and 202 x 202.
    assert green[0] == pytest.approx(202 * 135 * 2 + 202 * 202, rel=0.05)
    assert green[1] == 0
    (tmp_path / captioning.PICTURES[1]).write_bytes(b"no picture")
    with pytest.raises(ValueError, match=captioning.PICTURES[1]):
        files.sheet(group_records(build.captions())[0], tmp_path / "with.png", pictures=tmp_path)
    (tmp_path / captioning.PICTURES[0]).unlink()
    with pytest.raises(ValueError, match=captioning.PICTURES[0]):
        files.sheet(group_records(build.captions())[0], tmp_path / "with.png", pictures=tmp_path)


def test_rows_without_captions_have_no_sheet(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"captions\.png: no record of imagenet_resnet18 has captions or transcripts"):
        files.sheet(group_records(build.trio())[0], tmp_path / "captions.png")


@pytest.mark.parametrize(("heard", "more"), [("one two three", 0.0), ("one six three", 0.03), ("one three", 0.05)])
def test_the_sheet_of_transcripts_marks_their_errors(tmp_path: Path, heard: str, more: float) -> None:
    said = [Sample("a", "one two three", {"dsd": heard})]
    ink = []
    for marked in (False, True):
        contact.draw(said, "title", {}, {}, tmp_path / "a.png", "source", marked=marked)
        ink.append(int((255 - pixels(tmp_path / "a.png")[:, 300:].astype(int)).sum()))
    # Bold letters take more ink, and a word that was left out is drawn after all, in grey.
    assert ink[1] / ink[0] > 1 + more if more else ink[1] / ink[0] == pytest.approx(1, abs=0.02)


def test_words_are_wrapped_with_their_marks_and_none_is_lost() -> None:
    words = [Word("short", "insert"), Word("x" * 60, "delete"), Word("end")]
    lines = contact.wrap_words(words, 1.5)
    assert len(lines) > 2
    flat = [word for line in lines for word in line]
    assert "".join(word.text for word in flat if word.kind == "delete") == "x" * 60
    assert (flat[0], flat[-1]) == (words[0], words[-1])


def test_utterances_have_no_pictures_to_draw(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.png: transcripts are of no pictures"):
        files.sheet(group_records(build.utterances())[0], tmp_path / "a.png", pictures=tmp_path)


def test_the_sheet_of_transcripts_belongs_to_the_results_and_is_the_same_again(tmp_path: Path) -> None:
    found = build.utterances()
    files.write(tmp_path, found)
    results_folder.write(tmp_path, found)
    assert results_folder.check(tmp_path, found) == []
    name = "librispeech_deepspeech2-paper-transcripts.png"
    files.sheet(group_records(found)[0], tmp_path / "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "figures" / name).read_bytes()
    page = (tmp_path / "tables" / "librispeech_deepspeech2.md").read_text(encoding="utf-8")
    assert f": what the networks hear in a few test utterances](../figures/{name})" in page
    (tmp_path / "figures" / name).unlink()
    assert results_folder.check(tmp_path, found) == [f"figures/{name}"]


def pictured(folder: Path) -> Path:
    """Return `folder` with a photograph of every name in the golden records."""
    for picture in captioning.PICTURES:
        Image.new("RGB", (30, 20), (0, 200, 30)).save(folder / picture)
    return folder


def renamed(rename: Callable[[str], str]) -> list[Record]:
    """Return a record of captions of pictures with other names."""
    record = build.captions((1,))[0]
    assert record.dense is not None

    def samples_of(arm: Arm) -> dict[str, object]:
        return {"samples": [one | {"picture": rename(one["picture"])} for one in arm.samples]}

    arms = {name: arm.model_copy(update=samples_of(arm)) for name, arm in record.arms.items()}
    dense = record.dense.model_copy(update=samples_of(record.dense))
    return [record.model_copy(update={"dense": dense, "arms": arms})]


@pytest.mark.parametrize("path", ["../{}", "sub/{}", "/etc/{}", "sub\\{}", ".."])
def test_a_record_cannot_have_a_picture_from_elsewhere_drawn(tmp_path: Path, path: str) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "in", tmp_path / "in" / "sub"):
        pictured(folder)
    with pytest.raises(ValueError, match="is not the plain name of a picture"):
        files.sheet(group_records(renamed(path.format))[0], tmp_path / "a.png", pictures=tmp_path / "in")
    with pytest.raises(ValueError, match="is not the plain name of a picture"):
        files.private(tmp_path / "private", renamed(path.format), tmp_path / "in")


def test_only_jpeg_and_png_files_are_read(tmp_path: Path) -> None:
    pictured(tmp_path)
    with Image.open(tmp_path / captioning.PICTURES[0]) as image:
        image.save(tmp_path / captioning.PICTURES[0], format="GIF")
    with pytest.raises(ValueError, match=f"{captioning.PICTURES[0]} cannot be drawn"):
        files.sheet(group_records(build.captions())[0], tmp_path / "a.png", pictures=tmp_path)


def test_sheets_with_photographs_are_drawn_for_groups_whose_photographs_are_there(tmp_path: Path) -> None:
    photographs = pictured(tmp_path)
    # Generated pictures are other ones: their group is passed over, and so is one without captions.
    smoke = [
        record.model_copy(update={"scale": "smoke", "data": record.data.model_copy(update={"synthetic": True})})
        for record in renamed(lambda name: f"generated_{name}")
    ]
    found = [*build.captions(), *build.trio(), *build.utterances(), *smoke]
    assert files.private(tmp_path / "private", found, photographs) == [
        tmp_path / "private" / "flickr8k_neuraltalk-paper-captions.png"
    ]
    drawn = pixels(tmp_path / "private" / "flickr8k_neuraltalk-paper-captions.png")
    assert (abs(drawn.astype(int) - (0, 200, 30)) < 9).all(axis=2).sum() > 1000
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: holds no photograph that a record of \d+ has a caption of"):
        files.private(tmp_path / "private", found, tmp_path / "empty")
    (photographs / captioning.PICTURES[1]).unlink()
    with pytest.raises(ValueError, match=captioning.PICTURES[1]):
        files.private(tmp_path / "private", found, photographs)
