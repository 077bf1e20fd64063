"""The model stays plain: names, copies, pickles, recurrent flat weights, compilation."""

import copy
import io
import pickle
import shutil
import sysconfig
from pathlib import Path

import pytest
import torch
from torch import nn, optim

import dsd

HEADER = Path(sysconfig.get_path("include"), "Python.h")
INDUCTOR = [
    pytest.mark.skipif(
        not (HEADER.exists() and any(map(shutil.which, ("g++", "clang++")))),
        reason="Inductor needs a C++ compiler and Python's header files",
    ),
    pytest.mark.filterwarnings("ignore", "error:pruned weights"),  # warnings of torch differ between releases
]


def copies(model: nn.Module, optimizer: optim.Optimizer, how: str) -> tuple[nn.Module, optim.Optimizer]:
    if how == "deepcopy":
        return copy.deepcopy((model, optimizer))
    if how == "pickle":
        return pickle.loads(pickle.dumps((model, optimizer)))
    file = io.BytesIO()
    torch.save((model, optimizer), file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_copies_made_before_inside_and_after_are_plain(how: str, model: nn.Module, step) -> None:
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    step(model, optimizer, 0)
    made = {"before": copies(model, optimizer, how)}
    names, parameters = list(model.state_dict()), list(model.parameters())
    with dsd.sparse(model, optimizer, 0.5):
        step(model, optimizer, 1)
        made["inside"] = copies(model, optimizer, how)
        assert list(model.state_dict()) == names
        assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
        step(model, optimizer, 2)
        assert int((model[6].weight == 0).sum()) == 2176
    made["after"] = copies(model, optimizer, how)
    for when, (other, other_optimizer) in made.items():
        assert list(other.state_dict()) == names
        assert int((other[6].weight == 0).sum()) == (0 if when == "before" else 2176)
        assert not any(p._post_accumulate_grad_hooks for p in other.parameters())
        assert not other_optimizer._optimizer_step_post_hooks
        step(other, other_optimizer, 3)
        assert int((other[6].weight == 0).sum()) == 0  # a copy has no mask: it trains densely


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_layers(kind, positive_zero) -> None:
    net = kind(6, 5, num_layers=2, bidirectional=True)
    optimizer = optim.RMSprop(net.parameters(), lr=1e-3)
    names = list(net.state_dict())
    flat = [id(weight) for weight in net._flat_weights]
    with dsd.sparse(net, optimizer, 0.5) as masks:
        assert list(masks) == [n for n in names if n.startswith("weight")]
        assert len(masks) == 8
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(7, 3, 6))[0].square().mean().backward()
            nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            optimizer.step()
        net.flatten_parameters()
        for n, kept in masks.items():
            assert int((~kept).sum()) == round(0.5 * kept.numel())
            assert positive_zero(net.get_parameter(n)[~kept])
        x = torch.randn(7, 3, 6)
        other = copy.deepcopy(net)
        assert torch.equal(other(x)[0], net(x)[0])
        plain = kind(6, 5, num_layers=2, bidirectional=True)
        plain.load_state_dict(net.state_dict())
        assert torch.equal(plain(x)[0], net(x)[0])
    assert [id(weight) for weight in net._flat_weights] == flat == [id(p) for p in net.parameters()]
    assert list(net.state_dict()) == names


@pytest.mark.timeout(900)  # Inductor's first start takes a minute
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # caused by inductor, which uses torch.jit
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # caused by dynamo itself
@pytest.mark.parametrize("backend", ["eager", "aot_eager", pytest.param("inductor", marks=INDUCTOR)])
@pytest.mark.parametrize("when", ["before", "inside"])
def test_compiled_models(backend: str, when: str, model: nn.Module, step, positive_zero) -> None:
    torch._dynamo.reset()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    compiled = torch.compile(model, backend=backend)
    if when == "before":
        step(compiled, optimizer, 0)
    with dsd.sparse(compiled, optimizer, 0.5) as masks:
        assert list(masks) == ["0.weight", "3.weight", "6.weight"]
        for i in range(3):
            step(compiled, optimizer, i)
            for n, kept in masks.items():
                assert positive_zero(model.get_parameter(n)[~kept])
                assert (model.get_parameter(n).grad[~kept] == 0).all()
    step(compiled, optimizer, 3)
    assert all((model.get_parameter(n)[~kept] != 0).all() for n, kept in masks.items())


@pytest.mark.parametrize("where", ["pruned", "kept"])
def test_an_infinite_gradient_skips_the_step_of_a_scaler_only_if_its_weight_is_kept(where: str, positive_zero) -> None:
    layer = nn.Linear(4, 4, bias=False)
    optimizer, scaler = optim.SGD(layer.parameters(), lr=0.1, momentum=0.9), torch.amp.GradScaler("cpu")
    phases = dsd.Phases(0.5, begin=0, end=9)
    masks = phases.at(0, layer, optimizer)
    assert masks is not None
    kept = masks["weight"]
    before = layer.weight.detach().clone()
    factor = torch.ones(4, 4)
    factor[tuple((kept if where == "kept" else ~kept).nonzero()[0])] = float("inf")
    layer.weight.register_hook(lambda gradient: gradient * factor)
    scaler.scale(layer.weight.sum()).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(layer.parameters(), 0.1)
    scaler.step(optimizer)
    scaler.update()
    skipped = where == "kept"
    assert torch.equal(layer.weight, before) == skipped
    assert (scaler.get_scale() < 2.0**16) == skipped
    assert positive_zero(layer.weight[~kept])
    assert phases.at(0 if skipped else 1, layer, optimizer) is masks
