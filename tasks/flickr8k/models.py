"""The NeuralTalk captioner: an LSTM with output o * c whose first input is the features of a picture.

The function is that of karpathy/neuraltalk (imagernn/lstm_generator.py, generic_batch_generator.py, driver.py). For speed,
captions are packed without padding. Everything that does not depend on the previous step is a single matrix product for the whole
batch, forward and backward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from tasks.flickr8k.recipes import Network

State = tuple[Tensor, Tensor]
"""(hidden, cell), each (n, size)."""


class NeuralTalk(nn.Module):
    """Predicts the next word of captions from the features of pictures.

    Args:
        settings: sizes, dropout and the range of initial weights.
        features: length of a feature vector.
        log_frequencies: logarithm of each word's frequency, the initial output bias; index 0 is the end of a caption.
        seed: seed of the initial weights. As in NeuralTalk they are uniform, and so is the LSTM's bias, a row of NeuralTalk's
            matrix.
    """

    def __init__(self, settings: Network, features: int, log_frequencies: Sequence[float], seed: int) -> None:
        super().__init__()
        self.settings = settings
        size, words = settings.size, len(log_frequencies)
        self.image = nn.Linear(features, size)
        self.words = nn.Embedding(words, size)
        self.lstm = PackedLstm(size, size)
        self.decoder = nn.Linear(size, words)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for tensor in (self.image.weight, self.words.weight, self.lstm.weight, self.lstm.bias, self.decoder.weight):
                tensor.uniform_(-settings.initial, settings.initial, generator=generator)
            self.image.bias.zero_()
            self.decoder.bias.copy_(torch.tensor(log_frequencies))

    def forward(self, features: Tensor, words: Tensor, sizes: Sequence[int]) -> Tensor:
        """Return unnormalised log-probabilities of the word after each of `words`, (len(words), vocabulary).

        Args:
            features: (batch, features), in order of decreasing caption length.
            words: the input words, time-major and packed: the start tokens of all captions, then their first words, and so on.
            sizes: number of captions at each time step; `batch` at the first (the pictures) and the second (the start tokens).
        """
        drop = self.settings.dropout if self.training else 0.0
        x = functional.dropout(torch.cat((self.image(features), self.words(words))), drop, self.training)
        hidden = self.lstm(x, sizes)[len(features) :]  # the output after the picture is not a prediction
        logits: Tensor = self.decoder(functional.dropout(hidden, drop, self.training))
        return logits

    def start(self, features: Tensor) -> State:
        """Return the state after the pictures. features: (n, features)."""
        zero = features.new_zeros(len(features), self.settings.size)
        return self.lstm.tick(self.image(features), (zero, zero))

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Return log-probabilities of the next words, (n, vocabulary), and the state after `words` (n,)."""
        state = self.lstm.tick(self.words(words), state)
        return self.decoder(state[0]).log_softmax(1), state


class PackedLstm(nn.Module):
    """An LSTM without tanh on the cell (output o * c) over packed sequences.

    `weight` (4 * hidden, inputs + hidden) is a single matrix, like NeuralTalk's WLSTM, and pruned as one layer. Its rows are the
    input, forget and output gates and the candidate.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4 * hidden, inputs + hidden))
        self.bias = nn.Parameter(torch.empty(4 * hidden))

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Return the hidden vector after every input, (sum(sizes), hidden). x: (sum(sizes), inputs), time-major."""
        hidden: Tensor = _Packed.apply(x, self.weight, self.bias, tuple(sizes))  # type: ignore[no-untyped-call]
        return hidden

    def tick(self, x: Tensor, state: State) -> State:
        """Return the state after one more input. x: (n, inputs)."""
        hidden, cell = state
        gates = functional.linear(torch.cat((x, hidden), 1), self.weight, self.bias)
        keep = gates.shape[1] // 4
        i, f, o = gates[:, : 3 * keep].sigmoid().chunk(3, 1)
        cell = f * cell + i * gates[:, 3 * keep :].tanh()
        return o * cell, cell


class _Packed(torch.autograd.Function):
    """Automatic differentiation would update the gradient of the weights at every step. Here one product at the end computes it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, sizes: tuple[int, ...]) -> Tensor:
        inputs, hidden = x.shape[1], weight.shape[0] // 4
        recurrent = weight[:, inputs:].t()
        gates = torch.addmm(bias, x, weight[:, :inputs].t())
        cells, out = x.new_empty(len(x), hidden), x.new_empty(len(x), hidden)
        start = before = 0
        for step, size in enumerate(sizes):
            rows, previous = slice(start, start + size), slice(before, before + size)
            now, cell = gates[rows], cells[rows]
            if step:
                now.addmm_(out[previous], recurrent)
            now[:, : 3 * hidden].sigmoid_()
            now[:, 3 * hidden :].tanh_()
            i, f, o, g = now.chunk(4, 1)
            torch.mul(i, g, out=cell)
            if step:
                cell.addcmul_(f, cells[previous])
            torch.mul(o, cell, out=out[rows])
            before, start = start, start + size
        ctx.save_for_backward(x, weight, gates, cells, out)
        ctx.sizes = sizes
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, gates, cells, out = ctx.saved_tensors
        sizes: tuple[int, ...] = ctx.sizes
        inputs, hidden = x.shape[1], cells.shape[1]
        recurrent = weight[:, inputs:]
        grad_gates = torch.empty_like(gates)
        earlier = []  # hidden inputs of each step, for the gradient of the weights
        end = len(x)
        later_hidden = later_cell = x.new_empty(0, hidden)
        for step in range(len(sizes) - 1, -1, -1):
            size = sizes[step]
            rows = slice(end - size, end)
            i, f, o, g = gates[rows].chunk(4, 1)
            into = grad_gates[rows]
            grad_hidden = grad[rows].clone()
            grad_hidden[: len(later_hidden)] += later_hidden
            grad_cell = grad_hidden * o
            grad_cell[: len(later_cell)] += later_cell
            torch.mul(grad_cell, g, out=into[:, :hidden])
            torch.mul(grad_hidden, cells[rows], out=into[:, 2 * hidden : 3 * hidden])
            torch.mul(grad_cell, i, out=into[:, 3 * hidden :])
            if step:
                start = end - size - sizes[step - 1]
                previous = slice(start, start + size)
                torch.mul(grad_cell, cells[previous], out=into[:, hidden : 2 * hidden])
                earlier.append(out[previous])
            else:
                into[:, hidden : 2 * hidden] = 0
            sigmoids, tanh = gates[rows, : 3 * hidden], gates[rows, 3 * hidden :]
            into[:, : 3 * hidden] = torch.ops.aten.sigmoid_backward(into[:, : 3 * hidden], sigmoids)
            into[:, 3 * hidden :] = torch.ops.aten.tanh_backward(into[:, 3 * hidden :], tanh)
            if step:
                later_hidden, later_cell = into @ recurrent, grad_cell * f
            end -= size
        grad_weight = torch.empty_like(weight)
        torch.mm(grad_gates.t(), x, out=grad_weight[:, :inputs])
        after = grad_gates[sizes[0] :]
        if earlier:
            torch.mm(after.t(), torch.cat(earlier[::-1]), out=grad_weight[:, inputs:])
        else:
            grad_weight[:, inputs:] = 0
        return grad_gates @ weight[:, :inputs], grad_weight, grad_gates.sum(0), None
