"""A bidirectional plain recurrent layer with clipped ReLU, over packed sequences.

Library kernels have only tanh and the unclipped ReLU, so this module implements the recurrence. Each step, forward and backward, is
a batched matrix product and a clipping for both directions, without padding. Everything that does not depend on the previous step
(input product, gradients of weights) is a single product for the whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


@dataclass(frozen=True)
class Packing:
    """The valid frames of a padded batch, in order of steps.

    Rows are the first frames of all utterances, longest utterance first, then the second frames of those that have one, and so on.
    Step s of the backward direction is the s-th frame from the end of each utterance, so both directions have the same number of
    utterances at each step.

    Attributes:
        batch, time: sizes of the padded batch.
        sizes: rows of each step, decreasing.
        frames: (rows,) position of each row in the padded batch, as utterance * time + frame.
        mirror: (rows,) for each row of one direction, the row of the same frame in the other direction; its own inverse.
        previous: (rows - batch,) for every row after the first step, the row of the step before.
    """

    batch: int
    time: int
    sizes: tuple[int, ...]
    frames: Tensor
    mirror: Tensor
    previous: Tensor

    @staticmethod
    def of(lengths: Tensor, time: int) -> Packing:
        """Return the packing of utterances of `lengths` (batch,) frames, padded to `time`. This synchronises with the device.

        Raises:
            ValueError: a length is not in [1, time].
        """
        host = lengths.cpu()
        if not 1 <= int(host.min()) <= int(host.max()) <= time:
            raise ValueError(f"lengths={host.tolist()}: expected from 1 to {time} frames")
        ordered, order = host.sort(descending=True, stable=True)
        running = torch.arange(int(ordered[0]))[:, None] < ordered
        row = running.flatten().cumsum(0).view(running.shape) - 1
        step, column = running.nonzero(as_tuple=True)
        mirror = row[ordered[column] - 1 - step, column]
        previous = row[step - 1, column][len(host) :]
        indices = (order[column] * time + step, mirror, previous)
        sizes = tuple(running.sum(1).tolist())
        return Packing(len(host), time, sizes, *(i.to(lengths.device, non_blocking=True) for i in indices))

    def pack(self, padded: Tensor) -> Tensor:
        """Return the valid frames, (rows, ...). padded: (batch, time, ...)."""
        if padded.requires_grad or padded.is_contiguous():
            return padded.flatten(0, 1).index_select(0, self.frames)
        # These are windows that overlap in memory. `flatten` would copy all of them, also those of padding.
        return padded[self.frames.div(self.time, rounding_mode="floor"), self.frames % self.time]

    def unpack(self, rows: Tensor) -> Tensor:
        """Return (batch, time, ...), zero for padding. rows: (rows, ...)."""
        padded = rows.new_zeros(self.batch * self.time, *rows.shape[1:])
        return padded.index_copy(0, self.frames, rows).view(self.batch, self.time, *rows.shape[1:])


class Recurrent(nn.Module):
    """h[t] = clip(W x[t] + b + U h[t - 1]) in both directions, which share W and b; the output is their sum.

    Initial weights: U is orthogonal. It keeps the norm of the state, and the ReLU reduces it. So the state cannot explode in long
    utterances (a step adds at most the norm of its input), and the influence of past inputs decays gradually. A multiple of the
    identity would have many equal weights, which magnitude pruning cannot rank. W is normal with variance 1 / (2 inputs): U h adds
    as much as W x, and two directions are summed, so the output of a layer has about the scale of its input. If W x is normalised,
    its scale has no effect. Initial biases are zero.

    Args:
        inputs, width: length of x[t] and of h[t].
        clip: upper limit of the activation min(max(x, 0), clip).
        normalise: whether sequence-wise batch norm of W x replaces the bias (Amodei et al. 2015, Section 3.2). Its statistics are
            over all valid frames of all utterances; it has scale and shift.
        generator: random generator for the initial weights.
    """

    def __init__(self, inputs: int, width: int, clip: float, normalise: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.clip = clip
        self.weight = nn.Parameter(torch.empty(width, inputs))
        self.recurrent_forward = nn.Parameter(torch.empty(width, width))
        self.recurrent_backward = nn.Parameter(torch.empty(width, width))
        self.bias = None if normalise else nn.Parameter(torch.zeros(width))
        # Packed rows are valid frames only, so the batch norm of rows is sequence-wise.
        self.norm = nn.BatchNorm1d(width) if normalise else None
        nn.init.normal_(self.weight, 0, (2 * inputs) ** -0.5, generator)
        for recurrent in (self.recurrent_forward, self.recurrent_backward):
            nn.init.orthogonal_(recurrent, generator=generator)

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        """Return the sum of both directions' states, (rows, width). x: (rows, inputs)."""
        z = functional.linear(x, self.weight, self.bias)
        if self.norm is not None:
            z = self.norm(z)
        both: Tensor = _BothDirections.apply(  # type: ignore[no-untyped-call]
            z, self.recurrent_forward, self.recurrent_backward, packing, self.clip
        )
        return both


class _BothDirections(torch.autograd.Function):
    """Automatic differentiation would copy and add at every step. Here a step is one product and one activation, in place."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, ahead: Tensor, back: Tensor, packing: Packing, clip: float) -> Tensor:
        # (2, rows, width): the backward direction in its own order, so that it also goes from the first step to the last.
        states = torch.stack((z, z.index_select(0, packing.mirror)))
        recurrent = torch.stack((ahead, back)).transpose(1, 2)
        before = None
        for now in torch.split_with_sizes(states, packing.sizes, 1):
            if before is not None:
                now.baddbmm_(before[:, : now.shape[1]], recurrent)
            now.clamp_(0, clip)
            before = now
        ctx.save_for_backward(ahead, back, states)
        ctx.packing, ctx.clip = packing, clip
        return states[0] + states[1].index_select(0, packing.mirror)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        ahead, back, states = ctx.saved_tensors
        packing: Packing = ctx.packing
        grads = torch.stack((grad, grad.index_select(0, packing.mirror)))
        recurrent = torch.stack((ahead, back))
        after = None
        steps = (torch.split_with_sizes(tensor, packing.sizes, 1) for tensor in (grads, states))
        for now, state in reversed(list(zip(*steps, strict=True))):
            if after is not None:
                now[:, : after.shape[1]].baddbmm_(after, recurrent)
            # The slope is 1 strictly between the limits. The activation is there exactly if its argument is, so it is sufficient.
            torch.ops.aten.hardtanh_backward.grad_input(now, state, 0, ctx.clip, grad_input=now)
            after = now
        earlier = states.index_select(1, packing.previous)
        first = packing.sizes[0]
        grad_recurrent = torch.bmm(grads[:, first:].transpose(1, 2), earlier)
        grad_z = grads[0] + grads[1].index_select(0, packing.mirror)
        return grad_z, grad_recurrent[0], grad_recurrent[1], None, None
