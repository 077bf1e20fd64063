from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dsd import prunable
from tasks.librispeech.models import DeepSpeech, DeepSpeech2
from tasks.librispeech.recipes import DEEPSPEECH, DEEPSPEECH2
from tasks.librispeech.recurrent_layer import Packing
from tasks.librispeech.settings import DeepSpeech1Settings, DeepSpeech2Settings

LENGTHS = torch.tensor([23, 40, 1, 31])


def small1(seed: int = 0, dropout: float = 0.0) -> DeepSpeech:
    return DeepSpeech(DeepSpeech1Settings(width=24, dropout=dropout), seed)


def small2(seed: int = 0) -> DeepSpeech2:
    return DeepSpeech2(DeepSpeech2Settings(width=20, layers=2, channels=3), seed)


Build = Callable[[int], DeepSpeech | DeepSpeech2]
BOTH = pytest.mark.parametrize("build", [small1, small2])


def speech(lengths: Tensor = LENGTHS, time: int = 40) -> Tensor:
    x = torch.randn(4, 64, 161, generator=torch.Generator().manual_seed(1))[:, :time]
    return x.masked_fill(torch.arange(time)[:, None] >= lengths[:, None, None], 0)


def seasoned(model: DeepSpeech | DeepSpeech2) -> DeepSpeech | DeepSpeech2:
    """Return the model in evaluation mode, after passes in training mode that updated batch norm's running statistics."""
    with torch.no_grad():
        for _ in range(3):
            model(2 * speech() + 0.5, LENGTHS)
    return model.eval()


def sizes(model: nn.Module) -> dict[str, int]:
    return {name: sum(p.numel() for p in child.parameters()) for name, child in model.named_children()}


def test_deepspeech_has_the_papers_parameters_layer_by_layer() -> None:
    with torch.device("meta"):
        model = DeepSpeech(DeepSpeech1Settings(), seed=0)
    assert sizes(model) == {
        "conv": 1_814_528,
        "fc1": 1_049_600,
        "fc2": 1_049_600,
        "recurrent": 3_146_752,
        "fc3": 1_049_600,
        "output": 29_725,
    }
    assert sum(p.numel() for p in model.parameters()) == 8_139_805
    pruned = prunable(model, DEEPSPEECH.skip).weights
    assert {name: tuple(weight.shape) for name, weight in pruned.items()} == {
        "fc1.weight": (1024, 1024),
        "fc2.weight": (1024, 1024),
        "recurrent.weight": (1024, 1024),
        "recurrent.recurrent_forward": (1024, 1024),
        "recurrent.recurrent_backward": (1024, 1024),
        "fc3.weight": (1024, 1024),
        "output.weight": (29, 1024),
    }


def test_deepspeech2_has_the_papers_parameters_layer_by_layer() -> None:
    with torch.device("meta"):
        model = DeepSpeech2(DeepSpeech2Settings(), seed=0)
    found = sizes(model)
    recurrent = sizes(model.recurrent)
    assert found.pop("recurrent") == sum(recurrent.values())
    assert found == {"conv1": 19_616, "conv2": 239_168, "fc": 3_101_120, "output": 51_069}
    assert list(recurrent.values()) == [8_507_840] + [9_296_320] * 6
    # The paper prints 67,740,718, of which the output layer has 95,054.
    assert sum(p.numel() for p in model.parameters()) == 67_696_733 == 67_740_718 - 95_054 + 51_069
    pruned = prunable(model, DEEPSPEECH2.skip).weights
    names = ("weight", "recurrent_forward", "recurrent_backward")
    assert list(pruned) == [f"recurrent.{i}.{name}" for i in range(7) for name in names] + [
        "fc.weight",
        "output.weight",
    ]
    assert pruned["recurrent.0.weight"].shape == (1760, 1312)


@BOTH
def test_outputs_are_distributions_over_symbols_and_zero_past_the_end(build: Build) -> None:
    with torch.no_grad():
        found, lengths = build(0)(speech(), LENGTHS)
    assert found.shape == (4, 20, 29)
    assert lengths.tolist() == [12, 20, 1, 16]
    assert lengths.dtype == torch.int64
    past = torch.arange(20) >= lengths[:, None]
    assert found[past].abs().max() == 0
    torch.testing.assert_close(found[~past].exp().sum(1), torch.ones(49))


@BOTH
def test_an_utterance_is_recognised_alone_as_in_any_batch(build: Build) -> None:
    model = seasoned(build(0))
    padding = speech(time=64)
    noise = torch.randn(padding.shape, generator=torch.Generator().manual_seed(2))
    padding = torch.where(torch.arange(64)[:, None] < LENGTHS[:, None, None], padding, noise)
    with torch.no_grad():
        together, lengths = model(speech(), LENGTHS)
        padded, same = model(padding, LENGTHS)
        assert torch.equal(lengths, same)
        for i, (n, out) in enumerate(zip(LENGTHS.tolist(), lengths.tolist(), strict=True)):
            alone, _ = model(speech()[i : i + 1, :n], LENGTHS[i : i + 1])
            torch.testing.assert_close(together[i, :out], alone[0], rtol=0, atol=1e-5)
            torch.testing.assert_close(padded[i, :out], alone[0], rtol=0, atol=1e-5)


@BOTH
def test_in_training_padding_changes_neither_outputs_nor_gradients_nor_statistics(build: Build) -> None:
    model, other = build(0), build(0)
    noise = torch.randn(4, 64, 161, generator=torch.Generator().manual_seed(2))
    noise = torch.where(torch.arange(64)[:, None] < LENGTHS[:, None, None], speech(time=64), noise)
    first, lengths = model(speech(), LENGTHS)
    second, _ = other(noise, LENGTHS)
    torch.testing.assert_close(first, second[:, :20], rtol=0, atol=1e-5)
    weights = torch.randn(first.shape, generator=torch.Generator().manual_seed(3))
    weights[torch.arange(20) >= lengths[:, None]] = 0
    (first * weights).sum().backward()
    (second[:, :20] * weights).sum().backward()
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4)
    for a, b in zip(model.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(a, b)


def test_windows_are_a_convolution_over_time() -> None:
    settings = DeepSpeech1Settings(width=24, context=3, stride=2, dropout=0)
    model = DeepSpeech(settings, seed=0)
    kernel = model.conv.weight.unflatten(1, (7, 161)).transpose(1, 2)
    expected = functional.conv1d(speech().transpose(1, 2), kernel, model.conv.bias, stride=2, padding=3).transpose(1, 2)
    seen: list[Tensor] = []
    model.conv.register_forward_hook(lambda layer, args, output: seen.append(output))
    model(speech(), LENGTHS)
    rows = Packing.of(torch.tensor([12, 20, 1, 16]), 20).pack(expected)
    torch.testing.assert_close(seen[0], rows)


def test_deepspeech2_is_its_layers_one_after_the_other() -> None:
    model = seasoned(small2())
    assert isinstance(model, DeepSpeech2)

    def normalised(x: Tensor, norm: nn.Module) -> Tensor:
        """x: (features, time)."""
        assert isinstance(norm, nn.BatchNorm1d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        return x * scale[:, None] + (norm.bias - norm.running_mean * scale)[:, None]

    with torch.no_grad():
        for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm1d)):
            norm.weight.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(5))
            norm.bias.uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(6))
        x = functional.conv2d(speech()[1].t()[None], model.conv1.weight, stride=2, padding=(20, 5))
        assert x.shape == (3, 81, 20)
        x = normalised(x.flatten(0, 1), model.conv1.norm).clamp(0, 20).unflatten(0, (3, 81))
        x = functional.conv2d(x, model.conv2.weight, stride=(2, 1), padding=(10, 5))
        assert x.shape == (3, 41, 20)
        x = normalised(x.flatten(0, 1), model.conv2.norm).clamp(0, 20)
        for layer in model.recurrent:
            z = normalised(layer.weight @ x, layer.norm)
            ahead, back = torch.zeros(20, 20), torch.zeros(20, 20)  # (width, time)
            for t in range(20):
                ahead[:, t] = (z[:, t] + layer.recurrent_forward @ ahead[:, max(t - 1, 0)]).clamp(0, 20)
            for t in reversed(range(20)):
                back[:, t] = (z[:, t] + layer.recurrent_backward @ back[:, min(t + 1, 19)]).clamp(0, 20)
            x = ahead + back
        x = normalised(model.fc.weight @ x, model.fc.norm).clamp(0, 20)
        expected = (model.output.weight @ x + model.output.bias[:, None]).log_softmax(0)
        found, _ = model(speech(), LENGTHS)
    torch.testing.assert_close(found[1], expected.t(), rtol=0, atol=1e-4)


def test_dropout_is_on_feed_forward_outputs_in_training_only() -> None:
    model = small1(dropout=0.25)
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    for name, child in model.named_children():
        child.register_forward_hook(lambda m, args, output, name=name: seen.update({name: (args[0], output)}))
    torch.manual_seed(0)
    model(speech(), LENGTHS)
    for before, after in (("conv", "fc1"), ("fc1", "fc2"), ("fc2", "recurrent"), ("fc3", "output")):
        kept = seen[before][1].clamp(0, 20) / 0.75
        found = seen[after][0]
        positive = kept > 0
        assert ((found == 0) | torch.isclose(found, kept)).all()
        assert 0.6 < float((found[positive] > 0).float().mean()) < 0.9, after
    assert torch.equal(seen["recurrent"][1], seen["fc3"][0])
    model.eval()
    assert torch.equal(model(speech(), LENGTHS)[0], model(speech(), LENGTHS)[0])


@BOTH
def test_the_seed_alone_decides_the_weights(build: Build) -> None:
    def weights(seed: int) -> Tensor:
        return torch.cat([p.detach().flatten() for p in build(seed).parameters()])

    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = weights(0)
    assert torch.equal(torch.random.get_rng_state(), state)  # the global generator is unchanged
    torch.manual_seed(2)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


def test_first_weights_keep_the_scale_of_what_passes() -> None:
    model = DeepSpeech(DeepSpeech1Settings(width=256, dropout=0), seed=0)
    assert float(model.conv.weight.detach().std()) == pytest.approx((2 / 1771) ** 0.5, rel=0.01)
    assert float(model.fc1.weight.detach().std()) == pytest.approx((2 / 256) ** 0.5, rel=0.02)
    assert float(model.recurrent.weight.detach().std()) == pytest.approx((1 / 512) ** 0.5, rel=0.02)
    scales: list[float] = []
    for child in model.children():
        child.register_forward_hook(lambda m, args, output: scales.append(float(args[0].square().mean())))
    with torch.no_grad():
        model(torch.randn(1, 600, 161, generator=torch.Generator().manual_seed(0)), torch.tensor([600]))
    assert len(scales) == 6
    assert all(0.7 < scale < 2.5 for scale in scales), scales


@BOTH
def test_it_learns_to_spell(build: Build) -> None:
    """Four utterances with three of five sounds each. Each sound has its own spectrum and lasts eight frames."""
    generator = torch.Generator().manual_seed(7)
    spectra = torch.randn(6, 161, generator=generator)
    words = torch.tensor([[1, 2, 3], [3, 1, 4], [5, 5, 2], [4, 3, 5]])
    # A pause, 0, after each sound.
    spoken = functional.pad(words[:, :, None], (0, 1)).flatten(1).repeat_interleave(8, 1)
    x = spectra[spoken] + 0.3 * torch.randn(4, 48, 161, generator=generator)
    lengths = torch.full((4,), 48)
    model = build(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9, nesterov=True)
    for _ in range(120):
        found, frames = model(x, lengths)
        loss = functional.ctc_loss(found.transpose(0, 1), words, frames, torch.full((4,), 3), reduction="sum") / 4
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimizer.step()
    best = model(x, lengths)[0].argmax(2)
    heard = [[symbol for symbol in row.unique_consecutive().tolist() if symbol] for row in best]
    assert heard == words.tolist()
    assert float(loss.detach()) < 1


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (DeepSpeech1Settings, {"width": 0}, "width=0: expected at least 1"),
        (DeepSpeech1Settings, {"context": -1}, "context=-1: expected at least 0"),
        (DeepSpeech1Settings, {"stride": 0}, "stride=0: expected at least 1"),
        (DeepSpeech1Settings, {"dropout": 1.0}, r"dropout=1.0: expected a probability in \[0, 1\)"),
        (DeepSpeech1Settings, {"clip": 0.0}, "clip=0.0: expected a positive number"),
        (DeepSpeech2Settings, {"layers": 0}, "layers=0: expected at least 1"),
        (DeepSpeech2Settings, {"channels": 0}, "channels=0: expected at least 1"),
        (DeepSpeech2Settings, {"clip": float("nan")}, "clip=nan: expected a positive number"),
    ],
)
def test_settings_that_no_network_has_are_named(
    kind: type[DeepSpeech1Settings | DeepSpeech2Settings], wrong: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**wrong)  # type: ignore[arg-type]
