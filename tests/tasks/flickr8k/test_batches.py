from __future__ import annotations

from collections import Counter

import torch

from tasks.flickr8k import vocabulary
from tasks.flickr8k.batches import Captions
from tasks.flickr8k.dataset import Picture

CPU = torch.device("cpu")
PICTURES = (
    Picture("a.jpg", (("a", "dog"), ("a", "brown", "dog", "runs"), ("rare",))),
    Picture("b.jpg", (("a", "cat"),)),
)
WORDS = vocabulary.build([("a", "dog", "brown", "runs", "cat")] * 5, minimum=5)
FEATURES = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


def captions() -> Captions:
    return Captions(PICTURES, FEATURES, WORDS, CPU)


def test_a_batch_is_packed_longest_first_and_ends_every_caption() -> None:
    batch = captions().batch([0, 1, 2, 3])
    index = {word: number for number, word in enumerate(WORDS.words)}
    a, dog, brown, runs, cat = (index[word] for word in ("a", "dog", "brown", "runs", "cat"))
    # In order of length: "a brown dog runs", "a dog", "a cat", and one whose only word is not in the vocabulary.
    assert batch.features.tolist() == [[1.0, 2.0], [1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]
    assert batch.sizes == (4, 4, 3, 3, 1, 1)
    assert batch.words.tolist() == [0, 0, 0, 0, a, a, a, brown, dog, cat, dog, runs]
    assert batch.targets.tolist() == [a, a, a, 0, brown, dog, cat, dog, 0, 0, runs, 0]


def test_a_caption_does_not_depend_on_the_others_of_its_batch() -> None:
    alone = captions().batch([1])
    together = captions().batch([3, 1, 0])
    starts = torch.tensor(together.sizes[1:]).cumsum(0) - torch.tensor(together.sizes[1:])
    assert together.targets[starts].tolist() == alone.targets.tolist()  # the longest comes first at each step
    assert together.words[starts].tolist() == alone.words.tolist()


def test_pictures_are_drawn_uniformly_and_then_their_captions_with_replacement() -> None:
    drawn = Counter(captions().draw(seed=1, step=0, size=60_000))
    assert abs(drawn[3] / 60_000 - 1 / 2) < 0.01  # the one caption of the second picture
    for number in range(3):
        assert abs(drawn[number] / 60_000 - 1 / 6) < 0.01


def test_a_step_has_the_same_captions_however_it_is_reached() -> None:
    assert captions().draw(5, 7, 50) == captions().draw(5, 7, 50)
    assert captions().draw(5, 7, 50) != captions().draw(5, 8, 50)
    assert captions().draw(5, 7, 50) != captions().draw(6, 7, 50)


def test_captions_are_named_by_picture_and_number() -> None:
    assert captions().names == ["a.jpg#0", "a.jpg#1", "a.jpg#2", "b.jpg#0"]
    assert len(captions()) == 4
