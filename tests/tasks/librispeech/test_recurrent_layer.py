from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tasks.librispeech.recurrent_layer import Packing, Recurrent

LENGTHS = torch.tensor([2, 5, 1, 5, 3])


def layer(inputs: int = 3, width: int = 4, clip: float = 1.0, normalise: bool = False) -> Recurrent:
    return Recurrent(inputs, width, clip, normalise, torch.Generator().manual_seed(0)).double()


def inputs(seed: int = 1, size: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(LENGTHS), 6, size, dtype=torch.double, generator=generator)


def naive(found: Recurrent, x: Tensor, length: int) -> Tensor:
    """Return the output for one utterance, one direction and one frame at a time, for automatic differentiation."""
    z = functional.linear(x[:length], found.weight, found.bias)
    directions = []
    for recurrent, order in (
        (found.recurrent_forward, range(length)),
        (found.recurrent_backward, reversed(range(length))),
    ):
        state = torch.zeros(len(recurrent), dtype=x.dtype)
        states: dict[int, Tensor] = {}
        for t in order:
            states[t] = state = (z[t] + recurrent @ state).clamp(0, found.clip)
        directions.append(torch.stack([states[t] for t in range(length)]))
    return directions[0] + directions[1]


def test_rows_lie_step_after_step_longest_utterance_first() -> None:
    packing = Packing.of(torch.tensor([1, 3, 2]), time=4)
    assert packing.sizes == (3, 2, 1)
    # Utterances 1, 2, 0 at frame 0; 1, 2 at frame 1; 1 at frame 2.
    assert packing.frames.tolist() == [4, 8, 0, 5, 9, 6]
    assert packing.mirror.tolist() == [5, 4, 2, 3, 1, 0]
    assert packing.previous.tolist() == [0, 1, 3]


def test_unpacking_undoes_packing_and_leaves_zeros() -> None:
    x = inputs()
    packing = Packing.of(LENGTHS, 6)
    rows = packing.pack(x)
    assert rows.shape == (16, 3)
    valid = torch.arange(6) < LENGTHS[:, None]
    assert torch.equal(packing.unpack(rows), torch.where(valid[:, :, None], x, 0))


@pytest.mark.parametrize("lengths", [[2, 0], [2, 7], [-1, 2]])
def test_lengths_that_the_batch_cannot_have_are_named(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match=rf"lengths=\[{lengths[0]}, {lengths[1]}\]: expected from 1 to 6 frames"):
        Packing.of(torch.tensor(lengths), 6)


def test_three_frames_by_hand() -> None:
    found = layer(1, 1, clip=2.0)
    with torch.no_grad():
        found.weight.fill_(1)
        found.recurrent_forward.fill_(0.5)
        found.recurrent_backward.fill_(-1)
        assert found.bias is not None
        found.bias.fill_(0.25)
    x = torch.tensor([[[0.75], [2.0], [-1.0]]], dtype=torch.double)
    # z is 1, 2.25, -0.75. Forward: 1; 2.25 + 0.5 is clipped to 2; -0.75 + 1 = 0.25. Backward, from the end: 0; 2; 1 - 2 -> 0.
    packing = Packing.of(torch.tensor([3]), 3)
    assert found(packing.pack(x), packing)[:, 0].tolist() == [1 + 0, 2 + 2, 0.25 + 0]


def test_values_and_gradients_are_those_of_a_loop_over_frames() -> None:
    found = layer(width=6)
    x = inputs().requires_grad_()
    weights = inputs(2, 6)
    packing = Packing.of(LENGTHS, 6)
    ours = packing.unpack(found(packing.pack(x), packing))
    theirs = torch.stack(
        [functional.pad(naive(found, row, n), (0, 0, 0, 6 - n)) for row, n in zip(x, LENGTHS.tolist(), strict=True)]
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    # Some states are at either end of the activation, where the gradient stops.
    assert (theirs == 2).any()
    assert ((theirs > 0) & (theirs < 1)).any()
    wanted = [x, *found.parameters()]
    gradients = torch.autograd.grad((ours * weights).sum(), wanted)
    expected = torch.autograd.grad((theirs * weights).sum(), wanted)
    torch.testing.assert_close(gradients, expected, rtol=1e-11, atol=1e-12)
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize("lengths", [[1], [1, 1], [4], [3, 3], [2, 4, 1]])
def test_gradients_are_those_of_finite_differences(lengths: list[int]) -> None:
    found = layer()
    packing = Packing.of(torch.tensor(lengths), 4)
    x = packing.pack(inputs()[: len(lengths)]).requires_grad_()
    names = [name for name, _ in found.named_parameters()]

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(found, dict(zip(names, parameters, strict=True)), (x, packing))
        return result

    assert torch.autograd.gradcheck(call, (x, *found.parameters()))


def test_without_clipping_it_is_torchs_own_layer() -> None:
    """Compare with torch.nn.RNN with ReLU, in which each direction has its own input matrix and two biases."""
    found = layer(clip=1e9)
    theirs = torch.nn.RNN(3, 4, nonlinearity="relu", bidirectional=True, dtype=torch.double)
    with torch.no_grad():
        assert found.bias is not None
        found.bias.copy_(torch.tensor([0.1, -0.2, 0.3, 0.0]))
        for direction, recurrent in (("", found.recurrent_forward), ("_reverse", found.recurrent_backward)):
            getattr(theirs, f"weight_ih_l0{direction}").copy_(found.weight)
            getattr(theirs, f"weight_hh_l0{direction}").copy_(recurrent)
            getattr(theirs, f"bias_ih_l0{direction}").copy_(found.bias)
            getattr(theirs, f"bias_hh_l0{direction}").zero_()
    rows = torch.nn.utils.rnn.pack_padded_sequence(inputs(), LENGTHS, batch_first=True, enforce_sorted=False)
    expected = theirs(rows)[0].data
    packing = Packing.of(LENGTHS, 6)
    assert packing.sizes == tuple(rows.batch_sizes.tolist())
    torch.testing.assert_close(found(packing.pack(inputs()), packing), expected[:, :4] + expected[:, 4:])


def test_batch_norm_counts_valid_frames_of_the_input_product_only() -> None:
    found = layer(normalise=True)
    assert found.norm is not None
    packing = Packing.of(LENGTHS, 6)
    rows = packing.pack(inputs())
    z = rows @ found.weight.t()
    normal = (z - z.mean(0)) / (z.var(0, correction=0) + 1e-5).sqrt()
    with torch.no_grad():
        found.norm.weight.copy_(torch.tensor([0.5, 1, 2, 1]))
        found.norm.bias.copy_(torch.tensor([0, 0.1, -0.1, 0.2]))
        plain = layer(4)
        plain.weight.copy_(found.norm.weight.diag())
        plain.recurrent_forward.copy_(found.recurrent_forward)
        plain.recurrent_backward.copy_(found.recurrent_backward)
        assert plain.bias is not None
        plain.bias.copy_(found.norm.bias)
    torch.testing.assert_close(found(rows, packing), plain(normal, packing))
    torch.testing.assert_close(found.norm.running_mean, 0.1 * z.mean(0))
    torch.testing.assert_close(found.norm.running_var, 0.9 + 0.1 * z.var(0))


def test_first_weights_are_orthogonal_and_neither_explode_nor_die() -> None:
    found = Recurrent(128, 128, 20.0, False, torch.Generator().manual_seed(3))
    for recurrent in (found.recurrent_forward, found.recurrent_backward):
        torch.testing.assert_close(recurrent @ recurrent.t(), torch.eye(128), atol=1e-5, rtol=0)
    x = torch.randn(800, 128, generator=torch.Generator().manual_seed(0))
    packing = Packing.of(torch.tensor([800]), 800)
    scale = found(x, packing).detach().square().mean(1).sqrt()
    assert float(scale.min()) > 0.5
    assert float(scale.max()) < 2.5  # in every one of 800 frames
