"""Which words are learned, in which order, and how captions become numbers and words again."""

import math
from itertools import permutations

import pytest

from tasks.flickr8k import vocabulary
from tasks.flickr8k.vocabulary import Vocabulary

CAPTIONS = [("a", "dog"), ("a", "cat"), ("a", "dog", "runs"), ("bird", "dog"), ("zebra", "cat", "a", "a")]


def test_words_fall_in_frequency_then_follow_the_alphabet() -> None:
    found = vocabulary.build(CAPTIONS, minimum=1)
    assert found.words == (".", "a", "dog", "cat", "bird", "runs", "zebra")
    assert found.frequencies == (5, 5, 3, 2, 1, 1, 1)


def test_order_of_captions_does_not_matter() -> None:
    for other in permutations(CAPTIONS):
        assert vocabulary.build(iter(other), minimum=1) == vocabulary.build(CAPTIONS, minimum=1)


def test_exactly_the_minimum_is_enough() -> None:
    assert vocabulary.build([["often"] * 5 + ["rarely"] * 4]).words == (".", "often")
    assert vocabulary.build(CAPTIONS, minimum=3) == Vocabulary((".", "a", "dog"), (5, 5, 3))


def test_other_words_are_dropped_and_a_caption_may_lose_all() -> None:
    found = vocabulary.build(CAPTIONS, minimum=2)
    assert found.encode(["a", "zebra", "dog", "sees", "a", "cat"]) == [1, 2, 1, 3]
    assert found.encode(["zebra", "sees"]) == []
    assert found.frequencies[0] == 5  # a caption without known words also counts: its end is trained


def test_a_full_stop_within_a_caption_is_no_word() -> None:
    found = vocabulary.build([["a", ".", "."], ["a", "."]], minimum=2)
    assert found == Vocabulary((".", "a"), (2, 2))
    assert found.encode(["a", ".", "a"]) == [1, 1]


def test_decoding_ends_at_the_end_sign() -> None:
    found = vocabulary.build(CAPTIONS, minimum=2)
    assert found.decode([1, 2]) == ["a", "dog"]
    assert found.decode([3, 1, 0, 2, 2]) == ["cat", "a"]
    assert found.decode([0]) == found.decode([]) == []
    assert found.decode(found.encode(["a", "dog"])) == ["a", "dog"]


def test_log_frequencies_are_neuraltalks_first_output_bias() -> None:
    bias = Vocabulary((".", "a", "dog"), (4, 8, 2)).log_frequencies()
    assert bias == pytest.approx([math.log(0.5), 0.0, math.log(0.25)], abs=1e-12)
    exponentials = [math.exp(value) for value in bias]  # their softmax is the relative frequency
    assert [value / sum(exponentials) for value in exponentials] == pytest.approx([4 / 14, 8 / 14, 2 / 14])


def test_no_word_left() -> None:
    with pytest.raises(ValueError, match="no word occurs at least minimum=5 times in 3 captions"):
        vocabulary.build(CAPTIONS[:3])
    with pytest.raises(ValueError, match="in 0 captions"):
        vocabulary.build([])
