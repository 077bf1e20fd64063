from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from tasks.flickr8k.decode import Captioner, State, beam, greedy


class Table:
    """Independent random log-probabilities for each picture and each prefix, so that no shortcut finds the best caption.

    A picture's features are its number. The state encodes the prefix as a number: a leading 1, then the words as digits in
    base V. The 1 distinguishes prefixes that begin with zeros.
    """

    def __init__(self, seed: int, pictures: int, vocabulary: int, max_words: int, quarters: bool = False) -> None:
        shape = (pictures, 2 * vocabulary ** (max_words + 1), vocabulary)
        random = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        # Multiples of 1/4 add up exactly, so that many captions are equally good.
        self.log_probs = random.abs().mul(-4).round() / 4 if quarters else random.mul(1.5).log_softmax(2)
        self.vocabulary = vocabulary
        self.rows: list[int] = []  # the number of sequences in each step

    def start(self, features: Tensor) -> State:
        # The state is 1 before the start word. The 0 of the start word is the first digit after this 1.
        return features.long(), torch.ones_like(features, dtype=torch.int64)

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        picture, prefix = state
        self.rows.append(len(words))
        prefix = prefix * self.vocabulary + words[:, None]
        return self.log_probs[picture[:, 0], prefix[:, 0]], (picture, prefix)

    def score(self, picture: int, words: tuple[int, ...]) -> float:
        prefix, total = self.vocabulary, 0.0
        for word in words:
            total += float(self.log_probs[picture, prefix, word])
            prefix = prefix * self.vocabulary + word
        return total


class Lstm(nn.Module):
    """A captioner of realistic shape with random weights, scaled so that captions end and differ between pictures."""

    def __init__(self, seed: int, vocabulary: int = 300, hidden: int = 32, features: int = 48) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.image = nn.Linear(features, hidden)
        self.words = nn.Embedding(vocabulary, hidden)
        self.cell = nn.LSTMCell(hidden, hidden)
        self.output = nn.Linear(hidden, vocabulary)
        with torch.no_grad():
            self.output.weight.mul_(12)
            self.output.bias[0] += 2
            for weight in self.cell.parameters():
                weight.mul_(2)
        self.double()

    def start(self, features: Tensor) -> State:
        h, c = self.cell(self.image(features))
        return h, c

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        h, c = self.cell(self.words(words), state)
        return self.output(h).log_softmax(1), (h, c)


def pictures(n: int, features: int = 48) -> Tensor:
    return torch.randn(n, features, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def numbered(n: int) -> Tensor:
    return torch.arange(n)[:, None]


def until_end(words: list[int]) -> list[int]:
    return words[: words.index(0)] if 0 in words else words


@torch.no_grad()
def naive_greedy(model: Captioner, features: Tensor, max_words: int) -> list[int]:
    state, words = model.start(features), [0]
    while len(words) <= max_words:
        log_probs, state = model.step(torch.tensor(words[-1:]), state)
        row = log_probs[0].tolist()
        words.append(row.index(max(row)))
        if words[-1] == 0:
            break
    return until_end(words[1:])


@torch.no_grad()
def naive_beam(model: Captioner, features: Tensor, width: int, max_words: int) -> list[int]:
    """Return the caption of one picture by beam search, one beam at a time, always over all `max_words` steps."""
    beams: list[tuple[float, list[int], State]] = [(0.0, [], model.start(features))]
    for _ in range(max_words):
        candidates: list[tuple[float, int, int | None]] = []  # score, number of the beam, word that is added
        states: list[State] = []
        for number, (score, words, state) in enumerate(beams):
            if words and words[-1] == 0:
                candidates.append((score, number, None))
                states.append(state)
                continue
            log_probs, after = model.step(torch.tensor(words[-1:] or [0]), state)
            candidates += [(score + value, number, word) for word, value in enumerate(log_probs[0].tolist())]
            states.append(after)
        candidates.sort(key=lambda candidate: -candidate[0])  # equal scores keep their order
        beams = [
            (score, beams[number][1] + ([] if word is None else [word]), states[number])
            for score, number, word in candidates[:width]
        ]
    return until_end(beams[0][1])


def all_captions(vocabulary: int, max_words: int) -> list[tuple[int, ...]]:
    """Return every sequence of words that ends with 0 or is `max_words` long."""
    going_on: list[tuple[int, ...]] = [()]
    finished: list[tuple[int, ...]] = []
    for _ in range(max_words):
        longer = [(*words, word) for words in going_on for word in range(vocabulary)]
        finished += [words for words in longer if words[-1] == 0]
        going_on = [words for words in longer if words[-1] != 0]
    return finished + going_on


@pytest.mark.parametrize(("vocabulary", "max_words"), [(4, 5), (5, 4), (2, 5), (1, 3)])
def test_a_beam_wide_enough_finds_the_best_of_all_captions(vocabulary: int, max_words: int) -> None:
    captions = all_captions(vocabulary, max_words)
    cut_off = 0
    for seed in range(15):
        model = Table(seed, 4, vocabulary, max_words)
        best = [max(captions, key=lambda words: model.score(picture, words)) for picture in range(4)]
        cut_off += sum(words[-1] != 0 for words in best)
        found = beam(model, numbered(4), width=vocabulary**max_words, max_words=max_words)
        assert found == [until_end(list(words)) for words in best]
    if vocabulary > 2:
        assert 0 < cut_off < 60  # some best captions have ended and some have not


def test_a_narrow_beam_may_miss_the_best() -> None:
    exact = [beam(Table(seed, 4, 5, 4), numbered(4), 625, 4) for seed in range(15)]
    narrow = [beam(Table(seed, 4, 5, 4), numbered(4), 1, 4) for seed in range(15)]
    assert exact != narrow


@pytest.mark.parametrize("width", [1, 2, 3, 7, 20, 40])
def test_equally_good_captions_are_taken_in_order(width: int) -> None:
    for seed in range(10):
        model = Table(seed, 6, 5, 4, quarters=True)
        expected = [naive_beam(model, numbered(6)[i : i + 1], width, 4) for i in range(6)]
        assert beam(model, numbered(6), width, 4) == expected
        assert beam(model, numbered(6), width, 4) == expected


def test_the_lowest_of_equally_probable_words_is_taken() -> None:
    model = Table(0, 3, 6, 3)
    model.log_probs[:] = torch.tensor([0.1, 0.1, 0.3, 0.1, 0.3, 0.1]).log()
    assert greedy(model, numbered(3), 3) == [[2, 2, 2]] * 3
    assert beam(model, numbered(3), 2, 3) == [[2, 2, 2]] * 3
    model.log_probs[:] = math.log(1 / 6)
    assert greedy(model, numbered(3), 3) == beam(model, numbered(3), 4, 3) == [[], [], []]


@pytest.mark.parametrize("max_words", [1, 5, 20])
def test_greedy_is_the_loop_over_one_picture_at_a_time(max_words: int) -> None:
    model, features = Lstm(0), pictures(12)
    expected = [naive_greedy(model, features[i : i + 1], max_words) for i in range(12)]
    assert greedy(model, features, max_words) == expected
    if max_words == 20:
        assert len({len(words) for words in expected}) > 3  # they end at different steps
    assert beam(model, features, 1, max_words) == expected


@pytest.mark.parametrize("width", [2, 5, 20])
def test_beam_is_the_search_over_one_picture_at_a_time(width: int) -> None:
    lengths = set()
    for seed in range(3):
        model, features = Lstm(seed), pictures(5)
        expected = [naive_beam(model, features[i : i + 1], width, 20) for i in range(5)]
        assert beam(model, features, width) == expected
        assert expected != greedy(model, features)
        lengths |= {len(words) for words in expected}
    assert len(lengths) > 3


@pytest.mark.parametrize("width", [2, 3, 4])
def test_narrow_beams_on_arbitrary_probabilities_are_the_search_over_one_picture_at_a_time(width: int) -> None:
    for seed in range(20):
        model = Table(seed, 10, 3, 5)
        expected = [naive_beam(model, numbered(10)[i : i + 1], width, 5) for i in range(10)]
        assert beam(model, numbered(10), width, 5) == expected


def test_a_beam_wider_than_the_vocabulary() -> None:
    model, features = Lstm(1, vocabulary=6), pictures(5)
    for width in (6, 7, 50):
        expected = [naive_beam(model, features[i : i + 1], width, 8) for i in range(5)]
        assert beam(model, features, width, 8) == expected


def test_a_caption_does_not_depend_on_the_other_pictures() -> None:
    model = Table(3, 30, 4, 5)
    whole, greedily = beam(model, numbered(30), 3, 5), greedy(model, numbered(30), 5)
    for order in (torch.arange(29, -1, -1), torch.arange(0, 30, 7), torch.tensor([4]), torch.tensor([8, 8, 8])):
        assert beam(model, numbered(30)[order], 3, 5) == [whole[i] for i in order]
        assert greedy(model, numbered(30)[order], 5) == [greedily[i] for i in order]


def test_settled_pictures_are_worked_on_no_more() -> None:
    model = Table(0, 3, 4, 5)
    # The caption of picture p has word 1 p times and then ends. All other captions are far less probable.
    model.log_probs[:] = torch.tensor([0.001, 0.997, 0.001, 0.001]).log()
    end = torch.tensor([0.997, 0.001, 0.001, 0.001], dtype=torch.float64).log()
    for picture, prefix in enumerate((4, 17, 69)):  # in base 4: 10, 101, 1011
        model.log_probs[picture, prefix] = end
    assert greedy(model, numbered(3), 5) == [[], [1], [1, 1]]
    assert model.rows == [3, 2, 1]
    model.rows.clear()
    assert beam(model, numbered(3), 3, 5) == [[], [1], [1, 1]]
    assert model.rows == [3, 2 * 3, 1 * 3]


def test_captions_are_cut_off_after_max_words() -> None:
    model = Table(0, 2, 3, 6)
    model.log_probs[:] = torch.tensor([0.1, 0.2, 0.7]).log()
    for max_words in (1, 4, 6):
        assert greedy(model, numbered(2), max_words) == [[2] * max_words] * 2
        assert beam(model, numbered(2), 1, max_words) == [[2] * max_words] * 2
    assert model.rows == [2] * 22
    # Six words (0.7 ** 6 = 0.118) are more probable than none (0.1). With less probable words, the empty caption is best.
    assert beam(model, numbered(2), 5, 6) == [[2] * 6] * 2
    model.log_probs[:] = torch.tensor([0.25, 0.25, 0.5]).log()
    assert beam(model, numbered(2), 5, 6) == [[], []]


def test_no_pictures_no_captions() -> None:
    assert greedy(Lstm(0), pictures(0)) == beam(Lstm(0), pictures(0), 3) == []


def test_decoding_records_no_gradients() -> None:
    model, recorded = Lstm(0), []
    model.output.register_forward_hook(lambda module, args, output: recorded.append(output.requires_grad))
    greedy(model, pictures(2), 3)
    beam(model, pictures(2), 2, 3)
    assert len(recorded) > 3
    assert not any(recorded)
