"""DeepSpeech and DeepSpeech 2, reconstructed from the parameter counts of each layer in the DSD paper.

Both are called as model(features, lengths). Features are (batch, time, 161) float32, normalised log power; lengths are (batch,)
int64, the valid frames of each utterance. They return log-probabilities (batch, time', 29), zero after the end of an utterance, and
the valid output frames (batch,) int64. All layers except DeepSpeech 2's convolutions compute packed rows: valid frames only.

Initial weights depend on the seed only. Weights before a ReLU are normal with He's variance 2 / inputs, those of the output layer
with 1 / inputs; for recurrent weights see `Recurrent`. Initial biases and shifts are zero, scales one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.librispeech.recurrent_layer import Packing, Recurrent
from tasks.librispeech.settings import BINS, SYMBOLS, DeepSpeech1Settings, DeepSpeech2Settings


class Spoken(NamedTuple):
    """Log-probabilities (batch, time', 29) and the valid frames of each utterance (batch,)."""

    log_probabilities: Tensor
    lengths: Tensor


class DeepSpeech(nn.Module):
    """Windows of 11 frames, three feed-forward layers, a bidirectional recurrent layer, a feed-forward layer, an output layer.

    The first layer is a convolution over time with all bins as channels. The input of output frame i is the window around frame
    i * stride. Beyond the ends of an utterance the input is zero, the mean of normalised features.
    """

    def __init__(self, settings: DeepSpeech1Settings, seed: int) -> None:
        super().__init__()
        self.settings = settings
        width = settings.width
        generator = torch.Generator().manual_seed(seed)
        # The frames of a window are contiguous in memory, so the convolution is a matrix product.
        self.conv = _linear((2 * settings.context + 1) * BINS, width, 2.0, generator)
        self.fc1 = _linear(width, width, 2.0, generator)
        self.fc2 = _linear(width, width, 2.0, generator)
        self.recurrent = Recurrent(width, width, settings.clip, False, generator)
        self.fc3 = _linear(width, width, 2.0, generator)
        self.output = _linear(width, SYMBOLS, 1.0, generator)

    def forward(self, features: Tensor, lengths: Tensor) -> Spoken:
        """Return log-probabilities and valid output frames."""
        settings = self.settings
        out_lengths = output_lengths(lengths, settings.stride)
        packing = Packing.of(out_lengths, _strided(features.shape[1], settings.stride))
        x = self._feed(self.conv, packing.pack(self._windows(features, lengths)))
        x = self._feed(self.fc2, self._feed(self.fc1, x))
        x = self._feed(self.fc3, self.recurrent(x, packing))
        return Spoken(packing.unpack(self.output(x).log_softmax(1)), out_lengths)

    def _feed(self, layer: nn.Linear, x: Tensor) -> Tensor:
        return functional.dropout(_clip(layer(x), self.settings.clip), self.settings.dropout, self.training)

    def _windows(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Return a view (batch, time', window * bins) of the padded features."""
        settings = self.settings
        batch, time = features.shape[:2]
        padded = functional.pad(_valid_only(features, lengths), (0, 0, settings.context, settings.context))
        frame, utterance = padded.stride(1), padded.stride(0)
        size = (batch, _strided(time, settings.stride), self.conv.in_features)
        return padded.as_strided(size, (utterance, settings.stride * frame, 1))


class DeepSpeech2(nn.Module):
    """Two convolutions over time and frequency, plain bidirectional recurrent layers, a fully connected layer, an output layer.

    Batch norm precedes every activation. It is sequence-wise: in training its statistics are over the valid frames of all
    utterances in the batch, in evaluation they are running averages. The first convolution has a stride of two frames.
    """

    def __init__(self, settings: DeepSpeech2Settings, seed: int) -> None:
        super().__init__()
        self.settings = settings
        width, channels, clip = settings.width, settings.channels, settings.clip
        generator = torch.Generator().manual_seed(seed)
        self.conv1 = NormalisedConvolution(1, channels, (41, 11), (2, 2), BINS, clip, generator)
        self.conv2 = NormalisedConvolution(channels, channels, (21, 11), (2, 1), self.conv1.bins, clip, generator)
        inputs = [channels * self.conv2.bins] + [width] * (settings.layers - 1)
        self.recurrent = nn.ModuleList(Recurrent(n, width, clip, True, generator) for n in inputs)
        self.fc = NormalisedLinear(width, width, clip, generator)
        self.output = _linear(width, SYMBOLS, 1.0, generator)

    def forward(self, features: Tensor, lengths: Tensor) -> Spoken:
        """Return log-probabilities and valid output frames."""
        stride = self.conv1.stride[1]
        out_lengths = output_lengths(lengths, stride)
        packing = Packing.of(out_lengths, _strided(features.shape[1], stride))
        rows = self.conv1(_valid_only(features, lengths).transpose(1, 2)[:, None], packing)
        x = self.conv2(packing.unpack(rows).permute(0, 2, 3, 1), packing).flatten(1)
        for layer in self.recurrent:
            x = layer(x, packing)
        return Spoken(packing.unpack(self.output(self.fc(x)).log_softmax(1)), out_lengths)


class NormalisedConvolution(nn.Module):
    """A zero-padded 2-D convolution without bias, and sequence-wise batch norm of every bin of every channel.

    Args:
        inputs, channels: input and output channels.
        kernel, stride: in bins and in frames.
        bins: bins of the input; the attribute `bins` is the number of bins of the output.
        clip: upper limit of the activation.
        generator: random generator for the initial weights.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        bins: int,
        clip: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.stride, self.clip = stride, clip
        self.padding = kernel[0] // 2, kernel[1] // 2
        self.bins = _strided(bins, stride[0])
        self.weight = nn.Parameter(torch.empty(channels, inputs, *kernel))
        _scale(self.weight, 2.0, generator)
        self.norm = nn.BatchNorm1d(channels * self.bins)

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        """Return the valid frames, (rows, channels, bins). x: (batch, inputs, bins, time), zero after the end of an utterance."""
        x = functional.conv2d(x, self.weight, stride=self.stride, padding=self.padding)
        rows = packing.pack(x.permute(0, 3, 1, 2))
        return _clip(self.norm(rows.flatten(1)), self.clip).view(rows.shape)


class NormalisedLinear(nn.Module):
    """A linear layer with batch norm instead of a bias, over the packed rows of valid frames."""

    def __init__(self, inputs: int, width: int, clip: float, generator: torch.Generator) -> None:
        super().__init__()
        self.clip = clip
        self.weight = nn.Parameter(torch.empty(width, inputs))
        _scale(self.weight, 2.0, generator)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (rows, width). x: (rows, inputs)."""
        return _clip(self.norm(functional.linear(x, self.weight)), self.clip)


def output_lengths(lengths: Tensor, stride: int) -> Tensor:
    """Return the output frames of utterances of `lengths` frames: one per `stride` frames, from the first on."""
    return (lengths - 1).div(stride, rounding_mode="floor") + 1


def _strided(size: int, stride: int) -> int:
    return (size - 1) // stride + 1


def _valid_only(features: Tensor, lengths: Tensor) -> Tensor:
    """Return the features with zeros after the end of each utterance, because windows of its last frames include them."""
    past = torch.arange(features.shape[1], device=features.device) >= lengths[:, None]
    return features.masked_fill(past[:, :, None], 0)


def _clip(x: Tensor, clip: float) -> Tensor:
    return functional.hardtanh(x, 0, clip)


def _linear(inputs: int, outputs: int, gain: float, generator: torch.Generator) -> nn.Linear:
    # The random weights of the constructor are overwritten.
    with torch.random.fork_rng(devices=[]):
        layer = nn.Linear(inputs, outputs)
    _scale(layer.weight, gain, generator)
    nn.init.zeros_(layer.bias)
    return layer


def _scale(weight: Tensor, gain: float, generator: torch.Generator) -> None:
    nn.init.normal_(weight, 0, (gain / weight[0].numel()) ** 0.5, generator)
