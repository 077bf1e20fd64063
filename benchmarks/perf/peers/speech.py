"""Straightforward speech networks: one utterance at a time, plain layers, and autograd for every recurrent step.

The functions use the parameters of our networks, so that losses and gradients can be compared. They need no lengths, padding or
packing. The recurrence is a loop, because torch's recurrent layers have neither a clip nor batch norm on the input. For one
utterance at a time, torch's layers were no faster.
"""

from __future__ import annotations

import itertools

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional

from tasks.librispeech.alphabet import BLANK, SYMBOLS
from tasks.librispeech.models import DeepSpeech, DeepSpeech2, NormalisedConvolution
from tasks.librispeech.recurrent_layer import Recurrent
from tasks.librispeech.settings import HOP, WINDOW
from tasks.librispeech.spectrogram import FLOOR

_SPECTROGRAM = torchaudio.transforms.Spectrogram(WINDOW, hop_length=HOP, center=False)


def features(waveform: Tensor) -> Tensor:
    """Return (time, 161), the normalised log power of one recording. waveform: (samples,)."""
    log = _SPECTROGRAM(waveform).T.clamp(min=FLOOR).log()
    centred: Tensor = log - log.mean()
    return centred / centred.square().mean().sqrt()


def windows(x: Tensor, context: int, stride: int) -> Tensor:
    """Return every `stride`-th frame with `context` frames on both sides, (..., time', window * bins). x: (..., time, bins)."""
    padded = functional.pad(x, (0, 0, context, context))
    return padded.unfold(-2, 2 * context + 1, stride).transpose(-1, -2).flatten(-2)


def deepspeech(model: DeepSpeech, x: Tensor) -> Tensor:
    """Return log-probabilities (time', 29). x: (time, 161)."""
    settings = model.settings

    def feed(layer: nn.Linear, x: Tensor) -> Tensor:
        return functional.dropout(functional.hardtanh(layer(x), 0, settings.clip), settings.dropout, model.training)

    x = feed(model.conv, windows(x, settings.context, settings.stride))
    x = feed(model.fc2, feed(model.fc1, x))
    x = feed(model.fc3, recurrence(model.recurrent, x))
    return functional.log_softmax(model.output(x), 1)


def deepspeech2(model: DeepSpeech2, x: Tensor) -> Tensor:
    """Return log-probabilities (time', 29). x: (time, 161). In training, batch norm uses only this utterance's statistics."""

    def convolve(layer: NormalisedConvolution, x: Tensor) -> Tensor:
        x = functional.conv2d(x, layer.weight, stride=layer.stride, padding=layer.padding)
        _, channels, bins, time = x.shape
        x = layer.norm(x.permute(0, 3, 1, 2).reshape(time, channels * bins))  # each bin of each channel
        return functional.hardtanh(x, 0, layer.clip).T.reshape(1, channels, bins, time)

    x = convolve(model.conv2, convolve(model.conv1, x.T[None, None])).flatten(1, 2)[0].T
    for layer in model.recurrent:
        assert isinstance(layer, Recurrent)
        x = recurrence(layer, x)
    x = functional.hardtanh(model.fc.norm(functional.linear(x, model.fc.weight)), 0, model.fc.clip)
    return functional.log_softmax(model.output(x), 1)


def log_probabilities(model: nn.Module, x: Tensor) -> Tensor:
    """Return the log-probabilities (time', 29) of either network. x: (time, 161)."""
    if isinstance(model, DeepSpeech):
        return deepspeech(model, x)
    assert isinstance(model, DeepSpeech2)
    return deepspeech2(model, x)


def recurrence(layer: Recurrent, x: Tensor) -> Tensor:
    """Return the sum of both directions' states, (time, width). x: (time, inputs)."""
    z = functional.linear(x, layer.weight, layer.bias)
    if layer.norm is not None:
        z = layer.norm(z)

    def run(inputs: Tensor, recurrent: Tensor) -> Tensor:
        state = inputs.new_zeros(1, inputs.shape[1])
        states = []
        # The gradient of unbind is one concatenation; the gradient of inputs[t] would be a whole matrix per step.
        for now in inputs[:, None].unbind():
            state = functional.hardtanh(now + functional.linear(state, recurrent), 0, layer.clip)
            states.append(state)
        return torch.cat(states)

    return run(z, layer.recurrent_forward) + run(z.flip(0), layer.recurrent_backward).flip(0)


def weights(layer: Recurrent) -> dict[str, Tensor]:
    """Return a layer's weights with the names of `torch.nn.RNN`. Both directions share the input matrix."""
    assert layer.bias is not None, "the layer has batch norm, torch.nn.RNN has not"
    found: dict[str, Tensor] = {}
    for end, recurrent in (("", layer.recurrent_forward), ("_reverse", layer.recurrent_backward)):
        found |= {f"weight_ih_l0{end}": layer.weight, f"weight_hh_l0{end}": recurrent}
        found |= {f"bias_ih_l0{end}": layer.bias, f"bias_hh_l0{end}": torch.zeros_like(layer.bias)}
    return found


def greedy(log_probabilities: Tensor) -> str:
    """Return the most probable symbols without repetitions, then without blanks. log_probabilities: (time, 29)."""
    kept = [index for index, _ in itertools.groupby(log_probabilities.argmax(1).tolist()) if index != BLANK]
    return " ".join("".join(SYMBOLS[index] for index in kept).split())
