from __future__ import annotations

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

ROOT = Path(os.environ.get("DSD_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "metrics"
needs_metrics = pytest.mark.skipif(
    not ROOT.is_dir(), reason="needs metrics under ../shared/data or $DSD_SHARED_DATA, which is not distributed"
)


def table(name: str) -> dict[str, str]:
    """Return the text of each utterance; it may be empty."""
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
    right, words = wer.counts(list(spoken.values()), hypotheses).sum(0).tolist()
    assert published.startswith(f"WER: error_rate={result['wer']!r}, ref_words={words}, ")
    assert words - right == sum(map(int, re.findall(r"(?:subs|ins|dels)=(\d+)", published))) == errors
    assert words == 52_576
    assert round(result["wer"], 6) == rate


@needs_metrics
def test_values_that_jiwer_asserts() -> None:
    cases = json.loads((ROOT / "wer-known-values.json").read_text(encoding="utf-8"))["cases"]
    assert len(cases) == 11
    for case in cases:
        assert wer.score([case["ref"]], [case["hyp"]])["wer"] == pytest.approx(100 * case["wer"], rel=1e-15), case


def test_an_utterance_counted_by_hand() -> None:
    # "oh" inserted, "sat" for "set", "mat" deleted. Character errors: 3 for "oh ", 1 for a vowel, 4 for " mat"; of 22.
    references, hypotheses = ["the cat set on the mat"], ["oh the cat sat on the"]
    assert wer.score(references, hypotheses) == {"wer": 100 * 3 / 6, "cer": pytest.approx(100 * 8 / 22)}
    assert wer.counts(references, hypotheses).tolist() == [[3, 6]]


def test_a_corpus_is_not_the_mean_of_its_utterances() -> None:
    references, hypotheses = ["a b c d", "e"], ["a b c d", "x"]
    assert wer.score(references, hypotheses) == {"wer": 20, "cer": pytest.approx(100 / 8)}  # the mean would be 50
    assert wer.counts(references, hypotheses).tolist() == [[4, 4], [0, 1]]


def test_a_missing_hypothesis_is_all_deletions() -> None:
    assert wer.score(["one two", "three"], ["", "three"]) == {
        "wer": pytest.approx(200 / 3),
        "cer": pytest.approx(100 * 7 / 12),
    }


def test_words_where_nobody_spoke_are_insertions() -> None:
    references, hypotheses = ["", "a b", ""], ["x y z", "a b", ""]
    assert wer.score(references, hypotheses) == {"wer": 150, "cer": pytest.approx(100 * 5 / 3)}
    assert wer.counts(references, hypotheses).tolist() == [[-3, 0], [2, 2], [0, 0]]


def test_space_does_not_count_and_case_does() -> None:
    assert wer.score([" a  b\n"], ["a b "]) == {"wer": 0, "cer": 0}
    assert wer.score(["A b"], ["a b"])["wer"] == 50


def fewest_errors(reference: list[str], hypothesis: list[str]) -> int:
    """Return the errors of the best alignment, by trying all."""
    if not reference or not hypothesis:
        return len(reference) + len(hypothesis)
    return min(
        fewest_errors(reference[1:], hypothesis[1:]) + (reference[0] != hypothesis[0]),
        fewest_errors(reference[1:], hypothesis) + 1,
        fewest_errors(reference, hypothesis[1:]) + 1,
    )


def random_texts(seed: int, number: int) -> list[str]:
    random = np.random.Generator(np.random.PCG64(seed))
    return [" ".join("abc"[letter] for letter in random.integers(0, 3, random.integers(0, 6))) for _ in range(number)]


def test_errors_are_those_of_the_best_alignment() -> None:
    references, hypotheses = random_texts(0, 150), random_texts(1, 150)
    for reference, hypothesis, (right, words) in zip(
        references, hypotheses, wer.counts(references, hypotheses).tolist(), strict=True
    ):
        assert words == len(reference.split())
        assert words - right == fewest_errors(reference.split(), hypothesis.split())


def test_a_resample_of_counts_scores_as_the_resampled_utterances() -> None:
    references, hypotheses = ["a b", *random_texts(2, 39)], ["a b", *random_texts(3, 39)]
    rows = wer.counts(references, hypotheses)
    assert rows.shape == (40, 2)
    assert rows.dtype == torch.int64
    for sample in torch.randint(0, 40, (6, 40), generator=torch.Generator().manual_seed(0)).tolist():
        right, words = rows[sample].sum(0).tolist()
        result = wer.score([references[i] for i in sample], [hypotheses[i] for i in sample])
        assert 100 * (1 - right / words) == pytest.approx(result["wer"])


@pytest.mark.parametrize("function", [wer.score, wer.counts])
@pytest.mark.parametrize(("references", "hypotheses"), [(["a", "b"], ["a"]), (["a"], ["a", "b", "c"])])
def test_each_reference_needs_one_hypothesis(
    function: Callable[[list[str], list[str]], object], references: list[str], hypotheses: list[str]
) -> None:
    with pytest.raises(ValueError, match="zip"):
        function(references, hypotheses)
