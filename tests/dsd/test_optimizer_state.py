"""The size of a phase's first update under each policy, in units of the learning rate."""

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn, optim

import dsd

LR = 1e-4
ADAPTIVE: dict[str, Callable[..., optim.Optimizer]] = {
    "adam": partial(optim.Adam, lr=LR),
    "adam_foreach": partial(optim.Adam, lr=LR, amsgrad=True, foreach=True),
    "adamw_fused": partial(optim.AdamW, lr=LR, weight_decay=0.0, fused=True),
    "nadam": partial(optim.NAdam, lr=LR),
    "adamax": partial(optim.Adamax, lr=LR),
    "rmsprop_0.99": partial(optim.RMSprop, lr=LR, alpha=0.99),
    "rmsprop_0.999": partial(optim.RMSprop, lr=LR, alpha=0.999),
    "rmsprop_momentum": partial(optim.RMSprop, lr=LR, alpha=0.99, momentum=0.9),
    "rmsprop_centered": partial(optim.RMSprop, lr=LR, alpha=0.999, centered=True, foreach=True),
    "adagrad": partial(optim.Adagrad, lr=LR),
}


def noisy_steps(layer: nn.Linear, optimizer: optim.Optimizer, steps: int, seed: int = 0) -> None:
    """Train on fresh Gaussian inputs and targets in every step, so that gradients are noise and their size does not drift."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        x, y = (torch.randn(16, 32, generator=generator) for _ in range(2))
        (layer(x) - y).square().sum().backward()
        optimizer.step()


def first_update(layer: nn.Linear, optimizer: optim.Optimizer) -> Tensor:
    """Return |change| of every weight in one more step, in learning rates."""
    before = layer.weight.detach().clone()
    noisy_steps(layer, optimizer, 1, seed=1)
    return (layer.weight.detach() - before).abs() / optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize("policy", ["fresh", "keep"])
@pytest.mark.parametrize("name", ADAPTIVE)
def test_first_updates_of_both_phases_stay_within_about_one_learning_rate(name: str, policy) -> None:
    layer = nn.Linear(32, 32)
    optimizer = ADAPTIVE[name](layer.parameters())
    # A mean square with alpha = 0.999 starts at zero and is too low for about 2,000 steps.
    steps = 2500 if optimizer.defaults.get("alpha") == 0.999 else 500
    # NAdam's first step is 1.056. With kept momentum, steps are 0.75 / sqrt(1 - 0.9 ** 2) = 1.7 or more.
    most = 3 if (name, policy) == ("rmsprop_momentum", "keep") else 1.06
    noisy_steps(layer, optimizer, steps)
    with dsd.sparse(layer, optimizer, 0.5, state=policy) as masks:
        kept = masks["weight"]
        assert 0 < first_update(layer, optimizer)[kept].mean() <= most
        noisy_steps(layer, optimizer, steps)
    update = first_update(layer, optimizer)
    assert 0 < update[kept].mean() <= most
    assert 0 < update[~kept].mean() <= 1.06  # revived weights


@pytest.mark.parametrize(
    ("name", "jump"), [("adam", 1.0), ("rmsprop_0.99", 10.0), ("rmsprop_0.999", 1000**0.5), ("adagrad", 1.0)]
)
def test_naively_fresh_rmsprop_jumps_and_adam_does_not(name: str, jump: float) -> None:
    layer = nn.Linear(32, 32)
    optimizer = ADAPTIVE[name](layer.parameters())
    noisy_steps(layer, optimizer, 50)
    assert float(first_update(layer, ADAPTIVE[name](layer.parameters())).mean()) == pytest.approx(jump, rel=1e-2)


def test_keeping_the_state_untouched_would_make_revived_weights_jump() -> None:
    layer = nn.Linear(32, 32)
    optimizer = ADAPTIVE["rmsprop_0.99"](layer.parameters())
    noisy_steps(layer, optimizer, 500)
    masks = dsd.select(layer, 0.5)
    with dsd.hold(layer, optimizer, masks):
        noisy_steps(layer, optimizer, 500)
    naive, revived = copy.deepcopy((layer, optimizer)), (layer, optimizer)
    dsd.restart(optimizer, "keep", masks, model=layer)
    assert first_update(*naive)[~masks["weight"]].mean() > 3
    assert first_update(*revived)[~masks["weight"]].mean() < 1.05


def test_sgd_momentum_starts_from_rest_when_fresh() -> None:
    layer = nn.Linear(32, 32)
    optimizer = optim.SGD(layer.parameters(), lr=LR, momentum=0.9)
    noisy_steps(layer, optimizer, 200)
    kept_on = first_update(*copy.deepcopy((layer, optimizer))).mean() / layer.weight.grad.abs().mean()
    dsd.restart(optimizer)
    update = first_update(layer, optimizer)
    # The update is exactly one gradient.
    torch.testing.assert_close(update, layer.weight.grad.abs(), rtol=1e-2, atol=1e-2)
    assert kept_on > 1.5


@pytest.mark.parametrize(
    "make",
    [
        partial(optim.SGD, lr=0.01, momentum=0.9),
        partial(optim.Adam, lr=0.01),
        partial(optim.Adam, lr=0.01, amsgrad=True, capturable=False, foreach=True),
        partial(optim.AdamW, lr=0.01, fused=True),
        partial(optim.Adagrad, lr=0.01, initial_accumulator_value=0.5),
        partial(optim.Adamax, lr=0.01),
        partial(optim.NAdam, lr=0.01),
        partial(optim.Rprop, lr=0.01),
    ],
)
def test_fresh_is_bit_for_bit_a_new_optimizer(make: Callable[..., optim.Optimizer]) -> None:
    layer = nn.Linear(32, 32)
    optimizer = make(layer.parameters())
    noisy_steps(layer, optimizer, 20)
    dsd.restart(optimizer)
    other = copy.deepcopy(layer)
    noisy_steps(layer, optimizer, 5)
    noisy_steps(other, make(other.parameters()), 5)
    assert torch.equal(layer.weight, other.weight)


def test_fresh_forgets_the_history_of_lbfgs() -> None:
    layer = nn.Linear(4, 4)
    x = torch.randn(8, 4)

    def train(net: nn.Linear, optimizer: optim.LBFGS) -> None:
        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = (net(x) - x).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)

    optimizer = optim.LBFGS(layer.parameters(), lr=0.1, max_iter=3)
    train(layer, optimizer)
    dsd.restart(optimizer)
    other = copy.deepcopy(layer)
    train(layer, optimizer)
    train(other, optim.LBFGS(other.parameters(), lr=0.1, max_iter=3))
    assert torch.equal(layer.weight, other.weight)


@pytest.mark.parametrize(
    "make", [partial(optim.RMSprop, momentum=0.9, centered=True), partial(optim.Adadelta, foreach=True)]
)
def test_a_fresh_mean_square_is_the_mean_over_kept_entries_and_all_else_is_zero(make) -> None:
    layer = nn.Linear(32, 32)
    optimizer = make(layer.parameters(), lr=1e-3)
    noisy_steps(layer, optimizer, 20)
    state = optimizer.state[layer.weight]
    mask = torch.rand(32, 32) > 0.5
    state["square_avg"][~mask] = 1e9  # pruned weights must not count
    expected = float(state["square_avg"][mask].double().mean())
    dsd.restart(optimizer, "fresh", {"weight": mask}, model=layer)
    assert state["square_avg"].unique().tolist() == [pytest.approx(expected, rel=1e-6)]
    assert {k: int(torch.count_nonzero(v)) for k, v in state.items() if k != "square_avg"} == dict.fromkeys(
        ("step", "momentum_buffer", "grad_avg") if isinstance(optimizer, optim.RMSprop) else ("step", "acc_delta"), 0
    )
    bias = optimizer.state[layer.bias]["square_avg"]
    assert (bias == bias[0]).all()


@pytest.mark.parametrize(
    "make",
    [
        partial(optim.RMSprop, lr=LR, alpha=0.999),
        partial(optim.RMSprop, lr=LR, alpha=0.999, momentum=0.9, centered=True, capturable=True, foreach=False),
        partial(optim.Adadelta, lr=LR),
    ],
)
def test_without_history_the_mean_square_starts_at_the_gradients_own(make) -> None:
    layer = nn.Linear(32, 32)
    optimizer = make(layer.parameters())
    dsd.restart(optimizer)
    assert not optimizer.state  # without history and gradient, the optimizer makes the state
    noisy_steps(layer, optim.SGD(layer.parameters(), lr=0.0), 1)
    dsd.restart(optimizer)
    made = copy.deepcopy(optimizer.state[layer.weight])
    mean_square = float(layer.weight.grad.double().square().mean())
    torch.testing.assert_close(made["square_avg"], torch.full((32, 32), mean_square))
    if "capturable" in make.keywords:
        # capturable has no CPU kernel; only the shape of its state matters here.
        optimizer.param_groups[0]["capturable"] = False
    assert first_update(layer, optimizer).mean() < 1.05
    new = make(layer.parameters())
    new.param_groups[0]["capturable"] = False
    noisy_steps(layer, new, 1)
    for key, value in new.state[layer.weight].items():
        assert made[key].shape == value.shape
        assert made[key].dtype == value.dtype
    assert set(made) == set(new.state[layer.weight])


@pytest.mark.parametrize("name", ADAPTIVE)
def test_keep_changes_pruned_entries_alone_and_nothing_where_none_is_pruned(name: str) -> None:
    layer = nn.Linear(32, 32)
    optimizer = ADAPTIVE[name](layer.parameters())
    noisy_steps(layer, optimizer, 20)
    before = copy.deepcopy(optimizer.state_dict()["state"])

    def changed() -> list[tuple[int, str, Tensor]]:
        after = optimizer.state_dict()["state"]
        return [
            (i, key, value.ne(before[i][key]))
            for i, s in after.items()
            for key, value in s.items()
            if value.ne(before[i][key]).any()
        ]

    dsd.restart(optimizer, "keep")
    dsd.restart(optimizer, "keep", {"weight": torch.ones(32, 32, dtype=torch.bool)}, model=layer)
    assert changed() == []
    mask = torch.rand(32, 32) > 0.5
    dsd.restart(optimizer, "keep", {"weight": mask}, model=layer)
    touched = {key: (i, where) for i, key, where in changed()}
    assert all(i == 0 and not where[mask].any() for i, where in touched.values())
    assert set(touched) == {
        "adagrad": set(),
        "adamax": {"exp_avg", "exp_inf"},
        "rmsprop_momentum": {"square_avg", "momentum_buffer"},
        "rmsprop_centered": {"square_avg", "grad_avg"},
    }.get(name, {"square_avg"} if "rmsprop" in name else {"exp_avg", "exp_avg_sq"})
    for key in set(touched) & {"exp_avg_sq", "square_avg", "exp_inf"}:
        value = optimizer.state[layer.weight][key]
        torch.testing.assert_close(value[~mask], value[mask].mean().expand(int((~mask).sum())))


def test_a_wholly_pruned_tensor_restarts_at_its_own_mean() -> None:
    layer = nn.Linear(32, 32)
    optimizer = optim.RMSprop(layer.parameters(), lr=LR)
    noisy_steps(layer, optimizer, 20)
    mean = optimizer.state[layer.weight]["square_avg"].mean()
    dsd.restart(optimizer, "fresh", {"weight": torch.zeros(32, 32, dtype=torch.bool)}, model=layer)
    torch.testing.assert_close(optimizer.state[layer.weight]["square_avg"], mean.expand(32, 32))


def test_what_another_phase_holds_does_not_count_where_it_prunes() -> None:
    layers = nn.ModuleList([nn.Linear(32, 32), nn.Linear(32, 32)])
    optimizer = optim.RMSprop(layers.parameters(), lr=LR)
    noisy_steps(layers[0], optimizer, 20)
    noisy_steps(layers[1], optimizer, 20)
    with dsd.sparse(layers, optimizer, 0.9, skip=["1"]) as masks:
        state = optimizer.state[layers[0].weight]["square_avg"]
        state[~masks["0.weight"]] = 0.0  # as after a long phase
        mean = state[masks["0.weight"]].mean()
        with dsd.sparse(layers, optimizer, 0.9, skip=["0"]):
            torch.testing.assert_close(state, mean.expand(32, 32))


def test_complex_weights_have_a_mean_square_in_both_parts() -> None:
    weight = nn.Parameter(torch.complex(torch.ones(4, 4), torch.zeros(4, 4)))
    optimizer = optim.RMSprop([weight], lr=LR)
    weight.grad = torch.complex(torch.full((4, 4), 3.0), torch.full((4, 4), 1.0))
    dsd.restart(optimizer)  # without history
    wanted = torch.full((4, 4, 2), 5.0)  # (9 + 1) / 2
    torch.testing.assert_close(torch.view_as_real(optimizer.state[weight]["square_avg"]), wanted)
    torch.view_as_real(optimizer.state[weight]["square_avg"])[..., 0] = 9.0
    dsd.restart(optimizer)  # with history
    torch.testing.assert_close(torch.view_as_real(optimizer.state[weight]["square_avg"]), torch.full((4, 4, 2), 7.0))


def test_an_average_for_the_whole_tensor_is_left_alone() -> None:
    layer = nn.Linear(4, 4)
    optimizer = optim.SGD(layer.parameters(), lr=LR)
    optimizer.state[layer.weight] = {"exp_avg_sq": torch.tensor(2.0), "exp_avg": torch.ones(4, 4)}
    mask = torch.eye(4, dtype=torch.bool)
    dsd.restart(optimizer, "keep", {"weight": mask}, model=layer)
    assert optimizer.state[layer.weight]["exp_avg_sq"] == 2.0
    assert torch.equal(optimizer.state[layer.weight]["exp_avg"], torch.eye(4))


def test_a_state_of_unknown_names_cannot_be_kept_and_nothing_has_changed() -> None:
    layer = nn.Linear(4, 4)
    optimizer = optim.Adam(layer.parameters(), lr=LR)
    noisy = torch.ones(2, 4)
    layer(noisy).sum().backward()
    optimizer.step()
    optimizer.state[layer.weight]["slow_buffer"] = torch.ones(4, 4)
    before = copy.deepcopy([layer.weight.detach(), *optimizer.state[layer.weight].values()])
    with pytest.raises(ValueError, match=r"Adam keeps 'slow_buffer' for weight; .* use state='fresh'"):  # noqa: SIM117
        with dsd.sparse(layer, optimizer, 0.5, state="keep"):
            raise AssertionError
    after = [layer.weight.detach(), *optimizer.state[layer.weight].values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not optimizer._optimizer_step_post_hooks
    with dsd.sparse(layer, optimizer, 0.0, state="keep"):  # prunes nothing
        pass
    with dsd.sparse(layer, optimizer, 0.5):
        assert not optimizer.state


@pytest.mark.parametrize("made", [3, torch.tensor(3.0)])
def test_fresh_counters_of_a_whole_group_start_anew(made: object) -> None:
    layer = nn.Linear(4, 4)
    optimizer = optim.SGD(layer.parameters(), lr=LR)
    optimizer.defaults |= {"k": 0, "weight_sum": 0.0, "lr_max": -1.0}
    optimizer.param_groups[0] |= {"step": made, "k": 5, "weight_sum": 2.0, "lr_max": LR, "warmup": 7}
    dsd.restart(optimizer, "keep")
    assert optimizer.param_groups[0]["k"] == 5
    dsd.restart(optimizer)
    group = optimizer.param_groups[0]
    assert [group[name] for name in ("step", "k", "weight_sum", "lr_max", "warmup")] == [0, 0, 0.0, -1.0, 7]
    assert type(group["step"]) is type(made)
    assert group["lr"] == LR


def test_what_makes_no_sense_is_refused() -> None:
    layer = nn.Linear(2, 2)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    mask = torch.eye(2, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"one of \('fresh', 'keep'\), got 'zero'"):
        dsd.restart(optimizer, "zero")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs the model"):
        dsd.restart(optimizer, "keep", {"weight": mask})
    with pytest.raises(ValueError, match="mask 'wieght' belongs to no parameter"):
        dsd.restart(optimizer, "keep", {"wieght": mask}, model=layer)
