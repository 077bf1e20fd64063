from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import dsd
from tasks.flickr8k.models import NeuralTalk, PackedLstm
from tasks.flickr8k.recipes import RECIPES as FLICKR8K
from tasks.flickr8k.recipes import Network

SIZES = (3, 3, 2, 2, 1)


def lstm(inputs: int = 5, hidden: int = 4) -> PackedLstm:
    layer = PackedLstm(inputs, hidden).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-1, 1, generator=generator)
    return layer


def step_by_step(layer: PackedLstm, x: Tensor) -> Tensor:
    """Return the same states, computed step by step, for automatic differentiation."""
    hidden = cell = torch.zeros(3, 4, dtype=torch.double)
    found, start = [], 0
    for size in SIZES:
        hidden, cell = layer.tick(x[start : start + size], (hidden[:size], cell[:size]))
        found.append(hidden)
        start += size
    return torch.cat(found)


def test_a_tick_is_the_lstm_without_tanh_on_the_cell() -> None:
    layer = PackedLstm(1, 1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8]]))
        layer.bias.copy_(torch.tensor([0.01, 0.02, 0.03, 0.04]))
    x, h, c = 2.0, -1.0, 3.0
    hidden, cell = layer.tick(
        *(torch.tensor([[x]]).double(), (torch.tensor([[h]]).double(), torch.tensor([[c]]).double()))
    )

    def sigmoid(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    i, f, o = sigmoid(0.1 * x + 0.2 * h + 0.01), sigmoid(0.3 * x + 0.4 * h + 0.02), sigmoid(0.5 * x + 0.6 * h + 0.03)
    expected = f * c + i * math.tanh(0.7 * x + 0.8 * h + 0.04)
    assert float(cell.detach()) == pytest.approx(expected, rel=1e-6)
    assert float(hidden.detach()) == pytest.approx(o * expected, rel=1e-6)


def test_packed_is_step_by_step_in_values_and_gradients() -> None:
    layer = lstm()
    x = torch.randn(sum(SIZES), 5, dtype=torch.double, requires_grad=True)
    weights = torch.randn(sum(SIZES), 4, dtype=torch.double)
    packed, plain = layer(x, SIZES), step_by_step(layer, x)
    torch.testing.assert_close(packed, plain, rtol=1e-12, atol=1e-12)
    inputs = [x, layer.weight, layer.bias]
    ours = torch.autograd.grad((packed * weights).sum(), inputs)
    theirs = torch.autograd.grad((plain * weights).sum(), inputs)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sizes", [(1,), (2, 2), (3, 2, 1, 1)])
def test_gradients_are_those_of_finite_differences(sizes: tuple[int, ...]) -> None:
    layer = lstm()
    x = torch.randn(sum(sizes), 5, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, weight, bias: torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x, sizes)),
        (x, layer.weight, layer.bias),
    )


def captioner(words: int = 7) -> NeuralTalk:
    return NeuralTalk(Network(size=8), 6, [-float(i) for i in range(words)], seed=3)


def test_scores_are_those_of_feeding_the_picture_then_word_after_word() -> None:
    model = captioner().eval()
    features = torch.randn(2, 6)
    # Captions (4, 2) and (5,): the inputs are the start token, then the words.
    logits = model(features, torch.tensor([0, 0, 4, 5, 2]), (2, 2, 2, 1))
    state = model.start(features)
    first, state = model.step(torch.tensor([0, 0]), state)
    second, state = model.step(torch.tensor([4, 5]), state)
    third, _ = model.step(torch.tensor([2]), (state[0][:1], state[1][:1]))
    torch.testing.assert_close(logits.log_softmax(1), torch.cat((first, second, third)))


def test_initial_weights_are_neuraltalks() -> None:
    model = captioner(words=50)
    assert model.decoder.bias.tolist() == [-float(i) for i in range(50)]
    assert not model.image.bias.any()
    for tensor in (model.image.weight, model.words.weight, model.lstm.weight, model.lstm.bias, model.decoder.weight):
        assert 0.07 < tensor.abs().max() <= 0.1
    assert not torch.equal(captioner().image.weight, NeuralTalk(Network(size=8), 6, [0.0] * 7, seed=4).image.weight)
    assert torch.equal(captioner().image.weight, captioner().image.weight)


def test_half_of_what_enters_and_leaves_the_lstm_is_dropped_in_training_alone() -> None:
    model = NeuralTalk(Network(size=400), 6, [0.0] * 5, seed=0)
    seen: dict[str, Tensor] = {}
    model.lstm.register_forward_pre_hook(lambda _, args: seen.update(enters=args[0]))
    model.decoder.register_forward_pre_hook(lambda _, args: seen.update(leaves=args[0]))
    features, words = torch.randn(20, 6), torch.zeros(20, dtype=torch.int64)
    model.train()(features, words, (20, 20))
    for name in ("enters", "leaves"):
        assert float((seen[name].detach() == 0).float().mean()) == pytest.approx(0.5, abs=0.02)
    kept = seen["enters"].detach()[20:]
    kept = kept[kept != 0]
    assert float(kept.abs().max()) == pytest.approx(2 * float(model.words.weight[0].detach().abs().max()), rel=1e-2)
    model.eval()(features, words, (20, 20))
    assert (seen["enters"] != 0).all()


def test_pruned_is_every_matrix_but_the_word_embedding() -> None:
    recipe = FLICKR8K["flickr8k_neuraltalk"]["paper"]
    found = dsd.prunable(captioner(), skip=recipe.skip)
    assert list(found.weights) == ["image.weight", "lstm.weight", "decoder.weight"]
    assert set(found.excluded) == {"image.bias", "words.weight", "lstm.bias", "decoder.bias"}
