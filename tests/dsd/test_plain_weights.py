"""Parameters that look like plain weights but are not: left dense or refused, with a reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn, optim
from torch.nn.utils import prune

import dsd

HOOKED = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")


class Block(nn.Module):
    """A block with scale parameters like those of ConvNeXt and Swin."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3)
        self.layer_scale = nn.Parameter(torch.ones(4, 1, 1))
        self.logit_scale = nn.Parameter(torch.ones(2, 1, 1))
        self.class_token = nn.Parameter(torch.ones(1, 1, 8))
        self.norm = nn.LayerNorm((4, 6, 6))
        self.root = nn.RMSNorm((4, 6))
        self.untied = nn.Module()
        self.untied.bias = nn.Parameter(torch.ones(4, 6, 6))
        self.relative_position_bias = nn.Parameter(torch.ones(9, 2))
        self.attention = nn.MultiheadAttention(8, 2, add_bias_kv=True)
        self.last = nn.Linear(8, 1)


def test_scales_biases_and_tokens_are_spared_whatever_their_shape() -> None:
    found = dsd.prunable(Block())
    weights = ["conv.weight", "attention.in_proj_weight", "attention.out_proj.weight", "last.weight"]
    assert list(found.weights) == weights
    one, norm = "one number a channel (a layer's scale, or a token)", "a normalisation's scale or bias"
    reasons = {
        "layer_scale": one,
        "logit_scale": one,
        "class_token": one,
        "norm.weight": norm,
        "norm.bias": norm,
        "root.weight": norm,
        "untied.bias": "a bias",
        "relative_position_bias": "a bias",
        "attention.bias_k": "a bias",
    }
    assert {name: found.excluded[name] for name in reasons} == reasons


def pruned(layer: nn.Module) -> nn.Module:
    return prune.l1_unstructured(layer, "weight", 0.5)  # type: ignore[no-untyped-call,no-any-return]


def recurrent(layer: nn.Module) -> nn.Module:
    del layer
    return nn.utils.weight_norm(nn.RNN(4, 4), "weight_hh_l0")


@HOOKED
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (nn.utils.weight_norm, "1.weight_g"),
        (nn.utils.spectral_norm, "1.weight_orig"),
        (pruned, "1.weight_orig"),
        (recurrent, "1.weight_hh_l0_g"),
    ],
)
def test_what_a_hook_computes_a_weight_from_is_refused_unless_skipped(
    make: Callable[[nn.Module], nn.Module], name: str
) -> None:
    net = nn.Sequential(nn.Linear(4, 4), make(nn.Linear(4, 4)))
    before = [p.detach().clone() for p in net.parameters()]
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    with (
        pytest.raises(ValueError, match=rf"{name} is the input of a hook that computes weight"),
        dsd.sparse(net, optimizer, 0.5),
    ):
        raise AssertionError
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert list(dsd.prunable(net, skip=["1"]).weights) == ["0.weight"]


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:`torch.jit:FutureWarning")
@pytest.mark.parametrize("make", [torch.jit.script, lambda layer: torch.jit.trace(layer, torch.ones(1, 4))])
def test_a_scripted_module_is_refused_unless_skipped(make: Callable[[nn.Module], nn.Module]) -> None:
    scripted = make(nn.Linear(4, 4))
    before = scripted.weight.detach().clone()
    for model, name in ((scripted, "weight"), (nn.Sequential(scripted, nn.Linear(4, 4)), r"0\.weight")):
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        with pytest.raises(ValueError, match=f"{name} is in a scripted module"), dsd.sparse(model, optimizer, 0.5):
            raise AssertionError
    assert torch.equal(scripted.weight, before)
    with dsd.sparse(model, optimizer, 0.5, skip=["0"]) as masks:
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
    assert list(masks) == ["1.weight"]


class FullyShardedDataParallel(nn.Sequential):
    """Stands for FSDP1, which flattens weights: it has the same class name."""


def test_flattened_weights_are_refused_before_anything_changes() -> None:
    for net in (FullyShardedDataParallel(nn.Linear(4, 4)), nn.Sequential(FullyShardedDataParallel(nn.Linear(4, 4)))):
        before = [p.detach().clone() for p in net.parameters()]
        optimizer = optim.SGD(net.parameters(), lr=0.1)
        with pytest.raises(ValueError, match="use fully_shard"), dsd.sparse(net, optimizer, 0.5):
            raise AssertionError
        assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


class Wrapped(torch.Tensor):
    """A tensor subclass, as in quantisation and sharding."""


def inference() -> Tensor:
    with torch.inference_mode():
        return nn.Parameter(torch.ones(4, 4))


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        (lambda: torch.ones(4, 4).to_sparse(), r"is sparse \(torch\.sparse_coo\)"),
        (lambda: torch.ones(4, 4).as_subclass(Wrapped), "is a Wrapped .* not a plain tensor"),
        (lambda: torch.ones(4, 4).to(torch.float8_e4m3fn), "is torch.float8_e4m3fn"),
        (lambda: torch.ones(4, 4, device="meta"), "is on the meta device"),
        (inference, "was made in inference mode"),
        (lambda: torch.ones(1, 4).expand(4, 4), "is expanded"),
    ],
)
def test_a_weight_that_no_mask_can_be_held_on_is_refused_before_any_is_pruned(
    weight: Callable[[], Tensor], reason: str
) -> None:
    net = nn.Module()
    net.first = nn.Linear(4, 4)
    net.other = nn.Module()
    made = weight()
    net.other.weight = made if isinstance(made, nn.Parameter) else nn.Parameter(made)
    before = net.first.weight.detach().clone()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=rf"other\.weight {reason}"), dsd.sparse(net, optimizer, 0.5):
        raise AssertionError
    masks = {"first.weight": torch.eye(4).bool(), "other.weight": torch.eye(4).bool()}
    with pytest.raises(ValueError, match=rf"other\.weight {reason}"), dsd.hold(net, optimizer, masks):
        raise AssertionError
    assert torch.equal(net.first.weight, before)
    with dsd.sparse(net, optimizer, 0.5, skip=["other"]) as found:
        assert list(found) == ["first.weight"]
