from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from nltk.tokenize import NLTKWordTokenizer
from nltk.translate.bleu_score import corpus_bleu

from tasks.flickr8k import bleu

ROOT = Path(os.environ.get("DSD_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "metrics"
needs_metrics = pytest.mark.skipif(
    not ROOT.is_dir(), reason="needs metrics under ../shared/data or $DSD_SHARED_DATA, which is not distributed"
)

# What the tokenizer of coco-caption (pycocoevalcap/tokenizer/ptbtokenizer.py) drops.
PUNCTUATION = {"''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"}


def coco_words(caption: str) -> list[str]:
    return [word for word in NLTKWordTokenizer().tokenize(caption.lower()) if word not in PUNCTUATION]


def split(*captions: str) -> list[list[str]]:
    return [caption.split() for caption in captions]


@needs_metrics
def test_the_figures_that_coco_caption_publishes_for_its_example() -> None:
    folder = ROOT / "bleu-coco"
    expected = json.loads((folder / "expected.json").read_text())
    raw = json.loads((folder / "references_1000.json").read_text())
    captions = {
        str(entry["image_id"]): entry["caption"]
        for entry in json.loads((folder / "captions_val2014_fakecap_results.json").read_text())
    }
    assert len(raw) == len(captions) == 1000
    references = [[coco_words(caption) for caption in raw[picture]] for picture in raw]
    hypotheses = [coco_words(captions[picture]) for picture in raw]
    result = bleu.score(references, hypotheses)
    assert [round(value / 100, 3) for value in result.standard] == [expected[f"Bleu_{n}"] for n in range(1, 5)]
    assert result.hypothesis_length == expected["testlen"] == 9893
    assert result.reference_length == expected["reflen"] == 9855
    assert result.brevity_penalty == 1
    assert torch.equal(result.counts, bleu.counts(references, hypotheses))
    sums = result.counts.sum(0).tolist()
    assert sums == expected["correct"] + expected["guess"]


@needs_metrics
def test_the_figures_that_nlg_eval_publishes_for_its_example() -> None:
    folder = ROOT / "bleu-nlg-eval"
    expected = json.loads((folder / "expected.json").read_text())
    first, second, hypotheses = (
        split(*(folder / name).read_text().splitlines()) for name in ("ref1.txt", "ref2.txt", "hyp.txt")
    )
    result = bleu.score([list(pair) for pair in zip(first, second, strict=True)], hypotheses)
    assert [f"{value / 100:.6f}" for value in result.standard] == [f"{expected[f'Bleu_{n}']:.6f}" for n in range(1, 5)]
    assert [f"{value:.4f}" for value in result.standard] == ["55.0000", "42.8174", "28.4043", "20.1143"]


def test_a_hypothesis_counted_by_hand() -> None:
    # Matches: words "the" (2 of 3, clipped to the second reference), "cat" and "sat"; pairs "the cat" and "cat sat"; one triple.
    references = [split("a cat sat here", "the cat sat by the door")]
    hypothesis = split("the the the cat sat")
    assert bleu.counts(references, hypothesis).tolist() == [[4, 2, 1, 0, 5, 4, 3, 2]]
    result = bleu.score(references, hypothesis)
    assert result.hypothesis_length == 5
    assert result.reference_length == 4  # 4 and 6 are equally close
    assert result.brevity_penalty == 1
    assert result.neuraltalk == pytest.approx((80, 100 * math.sqrt(0.4), 100 * (2 / 15) ** (1 / 3), 0))
    assert result.standard == result.neuraltalk


def test_the_penalty_is_all_that_the_two_differ_in() -> None:
    result = bleu.score([split("a dog runs on the wet grass")], split("a dog runs on"))
    assert result.neuraltalk == (100, 100, 100, 100)
    assert result.brevity_penalty == pytest.approx(math.exp(1 - 7 / 4))
    assert result.standard == pytest.approx([100 * math.exp(1 - 7 / 4)] * 4)


def test_the_closest_reference_counts_each_caption_for_itself() -> None:
    references = [split("a b c d e f", "a b"), split("a b c", "a b c d e f g h i")]
    result = bleu.score(references, split("a b c", "a b c d e f g"))
    assert result.reference_length == 2 + 9
    assert result.brevity_penalty == pytest.approx(math.exp(1 - 11 / 10))


def test_captions_shorter_than_n_words_have_no_ngrams() -> None:
    references = [split("a b"), split("a b"), split("a b c d e"), split("x")]
    hypotheses = split("a", "", "a b c d e", "a b")
    assert bleu.counts(references, hypotheses).tolist() == [
        [1, 0, 0, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [5, 4, 3, 2, 5, 4, 3, 2],
        [0, 0, 0, 0, 2, 1, 0, 0],
    ]
    # nltk's own corpus_bleu adds 1 for every caption that is too short: 3 / (3 + 3) triples would be found, not 3 / 3.
    result = bleu.score(references, hypotheses)
    p1, p2 = 6 / 8, 4 / 5
    expected = [p1, math.sqrt(p1 * p2), (p1 * p2) ** (1 / 3), (p1 * p2) ** (1 / 4)]
    assert result.neuraltalk == pytest.approx([100 * value for value in expected])


@pytest.mark.filterwarnings("error")
def test_nothing_matched_is_zero_without_a_warning() -> None:
    zeros = (0.0, 0.0, 0.0, 0.0)
    unlike = bleu.score([split("a b c d e")], split("v w x y z"))
    assert (unlike.standard, unlike.neuraltalk, unlike.brevity_penalty) == (zeros, zeros, 1.0)
    assert bleu.score([split("a b c")], [[]]) == bleu.Bleu(zeros, zeros, 0.0, 0, 3, torch.empty(0))
    assert bleu.score([split("a b c")], split("c b a")).neuraltalk == pytest.approx((100, 0, 0, 0))


def random_corpus(seed: int, examples: int, least: int = 4) -> tuple[list[list[list[str]]], list[list[str]]]:
    random = np.random.Generator(np.random.PCG64(seed))

    def caption() -> list[str]:
        return [str(word) for word in random.integers(0, 5, random.integers(least, 9))]

    return [[caption() for _ in range(5)] for _ in range(examples)], [caption() for _ in range(examples)]


@pytest.mark.parametrize("seed", range(5))
def test_captions_of_four_words_or_more_score_as_in_nltk(seed: int) -> None:
    references, hypotheses = random_corpus(seed, 60)
    weights = [(1.0,), (1 / 2,) * 2, (1 / 3,) * 3, (1 / 4,) * 4]
    expected = corpus_bleu(references, hypotheses, weights)
    assert bleu.score(references, hypotheses).standard == pytest.approx([100 * value for value in expected])


def test_a_resample_of_counts_scores_as_the_resampled_captions() -> None:
    references, hypotheses = random_corpus(0, 40, least=0)
    table = bleu.counts(references, hypotheses)
    assert table.shape == (40, 8)
    assert table.dtype == torch.int64
    samples = torch.randint(0, 40, (6, 40), generator=torch.Generator().manual_seed(0))
    values = bleu.unpenalised(table[samples].sum(1))
    assert values.shape == (6, 4)
    for sample, value in zip(samples.tolist(), values.tolist(), strict=True):
        result = bleu.score([references[i] for i in sample], [hypotheses[i] for i in sample])
        assert tuple(value) == result.neuraltalk
        sums = table[sample].sum(0).tolist()
        product = math.prod(sums[n] / sums[4 + n] for n in range(4))
        assert value[3] == pytest.approx(100 * product ** (1 / 4))


def test_the_result_cannot_be_changed() -> None:
    result = bleu.score([split("a")], split("a"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.brevity_penalty = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("hypotheses", [split("a"), split("a", "b", "c")])
def test_each_list_of_references_needs_one_hypothesis(hypotheses: list[list[str]]) -> None:
    with pytest.raises(ValueError, match="zip"):
        bleu.score([split("a"), split("b")], hypotheses)
