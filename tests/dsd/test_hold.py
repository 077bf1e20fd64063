"""The sparse phase with every optimizer: pruned weights stay +0.0, and kept ones train as in a masked network."""

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn, optim
from torch.nn.utils import clip_grad_norm_

import dsd

OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "sgd": partial(optim.SGD, lr=0.05),
    "momentum": partial(optim.SGD, lr=0.05, momentum=0.9, weight_decay=1e-2),
    "nesterov": partial(optim.SGD, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-2),
    "sgd_foreach": partial(optim.SGD, lr=0.05, momentum=0.9, foreach=True),
    "sgd_fused": partial(optim.SGD, lr=0.05, momentum=0.9, weight_decay=1e-2, fused=True),
    "adam": partial(optim.Adam, lr=1e-2, weight_decay=1e-2),
    "adam_foreach": partial(optim.Adam, lr=1e-2, amsgrad=True, foreach=True),
    "adam_fused": partial(optim.Adam, lr=1e-2, fused=True),
    "adamw": partial(optim.AdamW, lr=1e-2, weight_decay=0.1),
    "rmsprop": partial(optim.RMSprop, lr=1e-3, alpha=0.99, momentum=0.9, centered=True, weight_decay=1e-2),
    "rmsprop_foreach": partial(optim.RMSprop, lr=1e-3, alpha=0.999, foreach=True),
    "adagrad": partial(optim.Adagrad, lr=1e-2, initial_accumulator_value=0.1),
    "adagrad_fused": partial(optim.Adagrad, lr=1e-2, fused=True),
    "adadelta": partial(optim.Adadelta, lr=1.0),
    "nadam": partial(optim.NAdam, lr=1e-2),
    "radam": partial(optim.RAdam, lr=1e-2),
    "adamax": partial(optim.Adamax, lr=1e-2),
}
NAMES = ("0.weight", "3.weight", "6.weight")


def no_hook_is_left(model: nn.Module, optimizer: optim.Optimizer) -> bool:
    hooks = [p._post_accumulate_grad_hooks for p in model.parameters()]
    return not any(hooks) and not optimizer._optimizer_step_post_hooks


@pytest.mark.parametrize("state", ["fresh", "keep"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_dense_sparse_dense(name: str, state, model: nn.Module, step, positive_zero) -> None:
    optimizer = OPTIMIZERS[name](model.parameters())
    for i in range(3):
        step(model, optimizer, i)
    before = {n: model.get_parameter(n) for n in NAMES}
    with dsd.sparse(model, optimizer, 0.5, state=state) as masks:
        assert list(masks) == list(NAMES)
        for i in range(4):
            for n, kept in masks.items():
                assert positive_zero(model.get_parameter(n)[~kept])
            step(model, optimizer, i)
        for n, kept in masks.items():
            weight = model.get_parameter(n)
            assert positive_zero(weight[~kept])
            assert (weight.grad[~kept] == 0).all()
            assert (weight[kept] != 0).all()
    assert no_hook_is_left(model, optimizer)
    assert all(model.get_parameter(n) is parameter for n, parameter in before.items())
    # Revived weights start at zero.
    assert all(positive_zero(model.get_parameter(n)[~kept]) for n, kept in masks.items())
    for i in range(2):
        step(model, optimizer, i)
    for n, kept in masks.items():
        weight = model.get_parameter(n)
        assert (weight[~kept] != 0).all()  # and then change


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_kept_weights_train_bit_for_bit_like_a_network_multiplied_by_the_mask(
    name: str, model: nn.Module, batch, step
) -> None:
    reference = copy.deepcopy(model)
    optimizer = OPTIMIZERS[name](model.parameters())
    reference_optimizer = OPTIMIZERS[name](reference.parameters())
    with dsd.sparse(model, optimizer, 0.5) as masks:
        for i in range(4):
            step(model, optimizer, i)
            reference_optimizer.zero_grad()
            masked = {n: reference.get_parameter(n) * kept for n, kept in masks.items()}
            out = torch.func.functional_call(reference, masked, (batch(i),))
            (out - 1).square().mean().backward()
            reference_optimizer.step()
        for n, kept in masks.items():
            assert torch.equal(model.get_parameter(n)[kept], reference.get_parameter(n)[kept])
        assert torch.equal(model[6].bias, reference[6].bias)


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
@pytest.mark.parametrize("state", ["fresh", "keep"])
def test_lbfgs_stays_on_the_mask_within_its_line_search(
    line_search, state, model: nn.Module, batch, positive_zero
) -> None:
    optimizer = optim.LBFGS(model.parameters(), lr=0.1, max_iter=4, line_search_fn=line_search)
    held: dict[str, Tensor] = {}
    losses = []

    def closure() -> Tensor:
        assert all((model.get_parameter(n)[~kept] == 0).all() for n, kept in held.items())
        optimizer.zero_grad()
        loss = (model(batch(0)) - 1).square().mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(2):
        optimizer.step(closure)
    with dsd.sparse(model, optimizer, 0.5, state=state) as masks:
        held.update(masks)
        start = len(losses)
        for _ in range(3):
            optimizer.step(closure)
            assert all(positive_zero(model.get_parameter(n)[~kept]) for n, kept in masks.items())
        assert losses[-1] < losses[start]
    held.clear()
    optimizer.step(closure)
    assert all((model.get_parameter(n)[~kept] != 0).all() for n, kept in masks.items())


def test_a_zero_sparsity_phase_equals_plain_training_bit_for_bit(model: nn.Module, step) -> None:
    plain = copy.deepcopy(model)
    optimizer, plain_optimizer = (optim.SGD(m.parameters(), lr=0.1, momentum=0.9) for m in (model, plain))
    with dsd.sparse(model, optimizer, 0.0, state="keep") as masks:
        assert all(mask.all() for mask in masks.values())
        assert no_hook_is_left(model, optimizer)  # no hook even inside the phase
        for i in range(5):
            step(model, optimizer, i)
    for i in range(5):
        step(plain, plain_optimizer, i)
    for a, b in zip(model.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    for p, q in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(optimizer.state[p]["momentum_buffer"], plain_optimizer.state[q]["momentum_buffer"])


def test_all_weights_can_be_pruned(model: nn.Module, step, positive_zero) -> None:
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    with dsd.sparse(model, optimizer, 1.0):
        step(model, optimizer, 0)
        assert all(positive_zero(model.get_parameter(n)) for n in NAMES)
        assert model[6].bias.count_nonzero() == 34


def test_several_parameter_groups_and_skipped_layers(model: nn.Module, step, positive_zero) -> None:
    groups = [
        {"params": model[6].parameters(), "lr": 0.5},
        {"params": [*model[3].parameters(), *model[1].parameters()]},
    ]
    optimizer = optim.SGD([*groups, {"params": model[0].parameters()}], lr=0.1, momentum=0.9)
    with dsd.sparse(model, optimizer, 0.5, skip=["0"]) as masks:
        for i in range(3):
            step(model, optimizer, i)
        assert list(masks) == ["3.weight", "6.weight"]
        assert all(positive_zero(model.get_parameter(n)[~kept]) for n, kept in masks.items())
        assert (model[0].weight != 0).all()


def test_accumulated_gradients_are_masked_after_every_backward(model: nn.Module, batch) -> None:
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    model.eval()  # batch norm would make the reference depend on the order
    model(batch(9)).sum().backward()  # accumulation began before the phase
    with dsd.sparse(model, optimizer, 0.5) as masks:
        assert all((model.get_parameter(n).grad[~kept] == 0).all() for n, kept in masks.items())
        reference = copy.deepcopy(model)
        for p, q in zip(reference.parameters(), model.parameters(), strict=True):
            p.grad = q.grad.clone()
        for i in range(3):
            model(batch(i)).square().mean().backward()
            reference(batch(i)).square().mean().backward()
            for n, kept in masks.items():
                ours, theirs = model.get_parameter(n).grad, reference.get_parameter(n).grad
                assert (ours[~kept] == 0).all()
                assert (theirs[~kept] != 0).any()
                assert torch.equal(ours[kept], theirs[kept])


@pytest.mark.filterwarnings("ignore:grad and param do not obey the gradient layout contract:UserWarning")
def test_a_gradient_of_other_strides_is_masked() -> None:
    layer = nn.Linear(6, 4)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    with dsd.sparse(layer, optimizer, 0.5) as masks:
        layer.weight.grad = torch.zeros(6, 4).t()  # backward adds into it and keeps its strides
        layer(torch.randn(3, 6)).sum().backward()
        assert layer.weight.grad.stride() == (1, 4)
        assert layer.weight.grad.count_nonzero() == 12
        assert (layer.weight.grad[~masks["weight"]] == 0).all()


def test_clipping_sees_the_norm_of_the_masked_gradient(model: nn.Module, batch) -> None:
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with dsd.sparse(model, optimizer, 0.5) as masks:
        unmasked = copy.deepcopy(model)
        for net in (model, unmasked):
            (net(batch(0)) - 1).square().mean().backward()
        grads = {n: p.grad * masks[n] if n in masks else p.grad for n, p in unmasked.named_parameters()}
        expected = torch.cat([g.flatten() for g in grads.values()]).norm()
        torch.testing.assert_close(clip_grad_norm_(model.parameters(), 1e-3), expected)
        weights = [unmasked.get_parameter(n) for n in masks]
        ratio = clip_grad_norm_(weights, 1e9) / torch.cat([grads[n].flatten() for n in masks]).norm()
        assert 1.2 < ratio < 1.6  # clipping would use this norm if only weights were masked


def test_an_overflowed_step_is_skipped_and_leaves_weights_masked_and_finite(
    model: nn.Module, batch, positive_zero
) -> None:
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with dsd.sparse(model, optimizer, 0.5) as masks:
        for factor, scale in ((1.0, 1024.0), (float("inf"), 512.0), (1.0, 512.0)):
            weights = {n: model.get_parameter(n).detach().clone() for n in masks}
            optimizer.zero_grad()
            scaler.scale(model(batch(0)).square().mean() * factor).backward()
            scaler.unscale_(optimizer)
            clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            assert scaler.get_scale() == scale
            for n, kept in masks.items():
                weight = model.get_parameter(n)
                assert weight.isfinite().all()
                assert positive_zero(weight[~kept])
                assert torch.equal(weight, weights[n]) == (factor == float("inf"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("fused", [False, True])
def test_other_types_of_parameters(dtype: torch.dtype, fused: bool, model: nn.Module, step, positive_zero) -> None:
    model.to(dtype)
    optimizer = optim.AdamW(model.parameters(), lr=0.01, fused=fused)
    with dsd.sparse(model, optimizer, 0.3) as masks:
        for i in range(3):
            step(model, optimizer, i)
        for n, kept in masks.items():
            assert int((~kept).sum()) == round(0.3 * kept.numel())
            assert positive_zero(model.get_parameter(n)[~kept])


def test_channels_last_keeps_its_strides(model: nn.Module, step, positive_zero) -> None:
    model.to(memory_format=torch.channels_last)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with dsd.sparse(model, optimizer, 0.5) as masks:
        for i in range(3):
            step(model, optimizer, i)
        assert masks["3.weight"].stride() == model[3].weight.stride() == (72, 1, 24, 8)
        assert all(positive_zero(model.get_parameter(n)[~kept]) for n, kept in masks.items())


def test_nan_in_a_pruned_weight_or_gradient_goes(model: nn.Module, positive_zero) -> None:
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with dsd.sparse(model, optimizer, 0.5) as masks:
        weight, kept = model[6].weight, masks["6.weight"]
        (weight * torch.where(kept, 1.0, float("nan"))).sum().backward()
        assert positive_zero(weight.grad[~kept])
        with torch.no_grad():
            weight[~kept] = float("nan")
        with pytest.warns(UserWarning, match=r"pruned weights of 6\.weight are not zero before a step"):
            optimizer.step()
        assert positive_zero(weight[~kept])
        assert weight.isfinite().all()
