from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.librispeech import wer
from tasks.librispeech.wer import Score

ROOT = Path(os.environ.get("DSD_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "metrics"
needs_metrics = pytest.mark.skipif(
    not ROOT.is_dir(), reason="needs metrics under ../shared/data or $DSD_SHARED_DATA, which is not distributed"
)


def table(name: str) -> dict[str, str]:
    """Utterance to text; a line may have no text."""
    lines = (ROOT / "wer-librispeech" / name).read_text(encoding="utf-8").splitlines()
    return {key: text for key, _, text in (line.partition("\t") for line in lines)}


@needs_metrics
@pytest.mark.parametrize(
    ("name", "errors", "rate"), [("b1.rnnt_baseline", 1921, 3.653758), ("b2.b1+nnlm", 1467, 2.790247)]
)
def test_published_figures_of_test_clean(name: str, errors: int, rate: float) -> None:
    spoken, heard = table("test-clean.ref.tsv"), table(f"test-clean.{name}.hyp.tsv")
    assert len(spoken) == 2620
    hypotheses = [heard.get(key, "") for key in spoken]
    start = time.process_time()
    result = wer.score(list(spoken.values()), hypotheses)
    assert time.process_time() - start < 1
    published = (ROOT / "wer-librispeech" / f"test-clean.{name}.result").read_text(encoding="utf-8").splitlines()[0]
    mine = (
        f"WER: error_rate={result.wer!r}, ref_words={result.words}, "
        f"subs={result.substitutions}, ins={result.insertions}, dels={result.deletions}"
    )
    assert mine == published
    assert result.words == 52_576
    assert result.substitutions + result.insertions + result.deletions == errors
    assert round(result.wer, 6) == rate
    sums = wer.counts(list(spoken.values()), hypotheses).sum(0).tolist()
    assert sums == [52_576 - errors, 52_576]


@needs_metrics
def test_values_that_jiwer_asserts() -> None:
    cases = json.loads((ROOT / "wer-known-values.json").read_text(encoding="utf-8"))["cases"]
    assert len(cases) == 11
    for case in cases:
        assert wer.score([case["ref"]], [case["hyp"]]).wer == pytest.approx(100 * case["wer"], rel=1e-15), case


def test_an_utterance_counted_by_hand() -> None:
    # "oh" inserted, "sat" for "set", "mat" deleted. Characters: "oh " is 3, e for a, " mat" is 4; of 22.
    result = wer.score(["the cat set on the mat"], ["oh the cat sat on the"])
    assert result == Score(
        wer=100 * 3 / 6, cer=pytest.approx(100 * 8 / 22), substitutions=1, insertions=1, deletions=1, words=6
    )


def test_a_corpus_is_not_the_mean_of_its_utterances() -> None:
    references, hypotheses = ["a b c d", "e"], ["a b c d", "x"]
    result = wer.score(references, hypotheses)
    assert result.wer == 20  # the mean would be 50
    assert result.cer == pytest.approx(100 / 8)
    assert wer.counts(references, hypotheses).tolist() == [[4, 4], [0, 1]]


def test_a_missing_hypothesis_is_all_deletions() -> None:
    assert wer.score(["one two", "three"], ["", "three"]) == Score(
        wer=pytest.approx(200 / 3), cer=pytest.approx(100 * 7 / 12), substitutions=0, insertions=0, deletions=2, words=3
    )


def test_words_where_nobody_spoke_are_insertions() -> None:
    references, hypotheses = ["", "a b", ""], ["x y z", "a b", ""]
    result = wer.score(references, hypotheses)
    assert result == Score(wer=150, cer=pytest.approx(100 * 5 / 3), substitutions=0, insertions=3, deletions=0, words=2)
    assert wer.counts(references, hypotheses).tolist() == [[-3, 0], [2, 2], [0, 0]]


def test_space_does_not_count_and_case_does() -> None:
    assert wer.score([" a  b\n"], ["a b "]) == Score(0, 0, 0, 0, 0, 2)
    assert wer.score(["A b"], ["a b"]).wer == 50


def alignments(reference: list[str], hypothesis: list[str]) -> list[tuple[int, int]]:
    """Return (errors, substitutions) of every alignment, by trying all."""
    if not reference or not hypothesis:
        return [(len(reference) + len(hypothesis), 0)]
    wrong = int(reference[0] != hypothesis[0])
    tried = [(errors + wrong, subs + wrong) for errors, subs in alignments(reference[1:], hypothesis[1:])]
    for rest in (alignments(reference[1:], hypothesis), alignments(reference, hypothesis[1:])):
        tried += [(errors + 1, subs) for errors, subs in rest]
    return tried


def random_texts(seed: int, number: int) -> list[str]:
    random = np.random.Generator(np.random.PCG64(seed))
    return [" ".join("abc"[letter] for letter in random.integers(0, 3, random.integers(0, 6))) for _ in range(number)]


def test_errors_are_split_as_in_the_best_alignment_with_most_words_right() -> None:
    references, hypotheses = ["c", *random_texts(0, 150)], ["c", *random_texts(1, 150)]
    several = 0
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        every = alignments(reference.split(), hypothesis.split())
        errors, substitutions = min(every)
        several += (errors, substitutions + 2) in every
        result = wer.score([reference, "d"], [hypothesis, "d"])  # so that there is a word
        assert result.substitutions == substitutions
        assert result.substitutions + result.insertions + result.deletions == errors
        assert result.insertions - result.deletions == len(hypothesis.split()) - len(reference.split())
        assert wer.counts([reference, "d"], [hypothesis, "d"])[0, 0] == len(reference.split()) - errors
    assert several > 10, "there is something to choose"


def test_a_resample_of_counts_scores_as_the_resampled_utterances() -> None:
    references, hypotheses = ["a b", *random_texts(2, 39)], ["a b", *random_texts(3, 39)]
    rows = wer.counts(references, hypotheses)
    assert rows.shape == (40, 2)
    assert rows.dtype == torch.int64
    for sample in torch.randint(0, 40, (6, 40), generator=torch.Generator().manual_seed(0)).tolist():
        right, words = rows[sample].sum(0).tolist()
        result = wer.score([references[i] for i in sample], [hypotheses[i] for i in sample])
        assert 100 * (1 - right / words) == pytest.approx(result.wer)
        assert words == result.words


def test_the_result_cannot_be_changed() -> None:
    result = wer.score(["a"], ["a"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.wer = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("function", [wer.score, wer.counts])
def test_what_cannot_be_scored(function: Callable[[list[str], list[str]], object]) -> None:
    with pytest.raises(ValueError, match=re.escape("There are 2 references but 1 hypotheses; index 1 ")):
        function(["a", "b"], ["a"])
    with pytest.raises(ValueError, match=re.escape("There are 1 references but 3 hypotheses; index 1 ")):
        function(["a"], ["a", "b", "c"])
    for references in ([], ["", " "]):
        with pytest.raises(ValueError, match=f"The {len(references)} references have no word"):
            function(references, references)
