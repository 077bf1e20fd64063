"""Flickr8k is made from its unzipped archives, with any of the folders that unzipping may create."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.flickr8k import dataset, prepare
from tasks.flickr8k.synthetic import generate


def quiet(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    root = tmp_path / "generated"
    generate(root, train=6, dev=2, test=3)
    return root


@pytest.mark.parametrize("texts", ["Flickr8k_text", "", "texts/Flickr8k_text"])
@pytest.mark.parametrize("pictures", ["Flicker8k_Dataset", "Flickr8k_Dataset/Flicker8k_Dataset"])
def test_the_loader_reads_the_same_wherever_the_parts_lay(
    generated: Path, tmp_path: Path, texts: str, pictures: str
) -> None:
    before = dataset.verify(dataset.scan(generated), quiet)
    source, out = tmp_path / "source", tmp_path / "out"
    (source / "__MACOSX" / "Flicker8k_Dataset").mkdir(parents=True)
    (source / pictures).parent.mkdir(parents=True, exist_ok=True)
    (generated / "Flicker8k_Dataset").rename(source / pictures)
    (source / texts).mkdir(parents=True, exist_ok=True)
    for path in (generated / "Flickr8k_text").iterdir():
        path.rename(source / texts / path.name)
    seen: list[tuple[str, int, int]] = []
    prepare.flickr8k(source, out, lambda *now: seen.append(now), pictures=11)
    assert seen == [("copying pictures", done, 11) for done in range(1, 12)]
    after = dataset.verify(dataset.scan(out), quiet)
    assert after.problems == ()
    assert (after.fingerprint, after.counts) == (before.fingerprint, before.counts)
    assert sorted(path.name for path in out.iterdir()) == ["Flicker8k_Dataset", "Flickr8k_text"]


def test_what_is_missing_is_named_and_nothing_written(generated: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"Flicker8k_Dataset has 11 pictures .*; expected 8,091"):
        prepare.flickr8k(generated, out, quiet)
    (generated / "Flickr8k_text" / "Flickr_8k.devImages.txt").unlink()
    with pytest.raises(ValueError, match=r"Flickr8k_text/Flickr_8k.devImages.txt is not there"):
        prepare.flickr8k(generated, out, quiet, pictures=11)
    (generated / "Flickr8k_text" / "Flickr8k.token.txt").unlink()
    with pytest.raises(ValueError, match=r"has no Flickr8k.token.txt; --from takes the folder in which"):
        prepare.flickr8k(generated, out, quiet, pictures=11)
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    (zipped / "Flickr8k_text.zip").touch()
    with pytest.raises(
        ValueError, match=r"has no Flicker8k_Dataset/ and Flickr8k.token.txt; .*: unzip -q Flickr8k_text.zip"
    ):
        prepare.flickr8k(zipped, out, quiet)
    with pytest.raises(ValueError, match=r"nowhere has no Flicker8k_Dataset/ and Flickr8k.token.txt"):
        prepare.flickr8k(tmp_path / "nowhere", out, quiet)
    assert not out.exists()
