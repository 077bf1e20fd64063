import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import dsd


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 5)
        self.hidden = nn.Linear(5, 5)
        self.decoder = nn.Linear(5, 11)
        self.decoder.weight = self.embedding.weight


def test_importing_the_package_and_its_schedules_loads_no_torch() -> None:
    code = "import sys, dsd; dsd.Schedule; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(dsd.__file__).parent.parent)


def test_every_exported_name_exists_and_no_other() -> None:
    for name in dsd.__all__:
        assert getattr(dsd, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'spares'"):
        _ = dsd.spares  # type: ignore[attr-defined]


def test_weights_are_taken_in_order_and_the_rest_has_reasons(model: nn.Module) -> None:
    model[3].weight.requires_grad_(False)
    found = dsd.prunable(model, skip=["0"])
    assert list(found.weights) == ["6.weight"]
    assert found.weights["6.weight"] is model[6].weight
    assert found.excluded == {
        "0.weight": "skipped by '0'",
        "0.bias": "skipped by '0'",
        "1.weight": "fewer than two dimensions (a bias or a normalisation's scale)",
        "1.bias": "fewer than two dimensions (a bias or a normalisation's scale)",
        "3.weight": "frozen (requires_grad is False)",
        "3.bias": "fewer than two dimensions (a bias or a normalisation's scale)",
        "6.bias": "fewer than two dimensions (a bias or a normalisation's scale)",
    }
    # The first layer is not skipped by default.
    assert list(dsd.prunable(nn.Sequential(nn.Conv2d(3, 4, 3))).weights) == ["0.weight"]


def test_a_layer_that_has_no_shape_yet_is_refused_unless_it_is_skipped() -> None:
    lazy = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 4))
    with pytest.raises(ValueError, match=r"0\.weight has no shape yet: run a batch"):
        dsd.prunable(lazy)
    assert list(dsd.prunable(lazy, skip=["0"]).weights) == ["1.weight"]
    lazy(torch.ones(1, 3))
    assert list(dsd.prunable(lazy).weights) == ["0.weight", "1.weight"]


def test_a_parametrized_layer_is_refused_unless_it_is_skipped() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)))
    with pytest.raises(ValueError, match=r"1\.parametrizations\.weight\.original0 is parametrized"):
        dsd.select(net, 0.5)
    assert list(dsd.prunable(net, skip=["1"]).weights) == ["0.weight"]
    nn.utils.parametrize.remove_parametrizations(net[1], "weight")
    assert list(dsd.prunable(net).weights) == ["0.weight", "1.weight"]


def test_a_complex_weight_is_left_out() -> None:
    found = dsd.prunable(nn.Linear(3, 3, dtype=torch.complex64))
    assert found.weights == {}
    assert found.excluded["weight"] == "not floating point (torch.complex64)"


@pytest.mark.parametrize(
    ("skip", "left"),
    [
        ((), ["conv1.weight", "layer1.0.weight", "layer1.1.weight", "layer10.weight"]),
        ("conv1", ["layer1.0.weight", "layer1.1.weight", "layer10.weight"]),
        (["layer1"], ["conv1.weight", "layer10.weight"]),
        (["layer1.0.weight"], ["conv1.weight", "layer1.1.weight", "layer10.weight"]),
        (["layer1.?"], ["conv1.weight", "layer10.weight"]),
        (["*.1.weight", "conv*"], ["layer1.0.weight", "layer10.weight"]),
    ],
)
def test_skip_takes_parameters_modules_and_patterns(skip: list[str], left: list[str]) -> None:
    net = nn.Module()
    net.conv1 = nn.Conv2d(3, 4, 3)
    net.layer1 = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    net.layer10 = nn.Linear(4, 4)
    assert list(dsd.prunable(net, skip).weights) == left


def test_a_skip_entry_that_matches_nothing_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ValueError, match=r"skip entry 'hiden' matches no parameter; did you mean 'hidden'"):
        dsd.prunable(Tied(), skip=["embedding", "hiden"])


def test_a_tied_tensor_counts_once_under_its_first_name() -> None:
    found = dsd.prunable(Tied())
    assert list(found.weights) == ["embedding.weight", "hidden.weight"]
    assert found.excluded["decoder.weight"] == "the same tensor as embedding.weight"
    assert list(dsd.prunable(Tied(), skip=["decoder"]).weights) == ["hidden.weight"]


def test_pruning_one_user_of_a_tied_tensor_prunes_the_other() -> None:
    net = Tied()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with dsd.sparse(net, optimizer, 0.5) as masks:
        assert {n: int((~m).sum()) for n, m in masks.items()} == {"embedding.weight": 28, "hidden.weight": 12}
        net.decoder(net.hidden(net.embedding(torch.arange(11)))).square().mean().backward()
        optimizer.step()
        assert int((net.decoder.weight == 0).sum()) == 28


def compiled(module: nn.Module) -> nn.Module:
    return torch.compile(module, backend="eager")  # type: ignore[return-value]


class Fabric(nn.Module):
    """Wraps a model as Lightning Fabric does."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._forward_module = module


@pytest.mark.parametrize(
    "wrap",
    [nn.DataParallel, compiled, lambda module: nn.DataParallel(compiled(module)), lambda m: Fabric(nn.DataParallel(m))],
)
def test_wrappers_are_looked_through(wrap, model: nn.Module) -> None:
    found = dsd.prunable(wrap(model), skip=["0"])
    assert list(found.weights) == ["3.weight", "6.weight"]
    assert found.weights["6.weight"] is model[6].weight


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # caused by dynamo itself
def test_a_compiled_submodule_does_not_change_names(model: nn.Module) -> None:
    names = list(dsd.prunable(model).weights)
    model[3] = compiled(model[3])
    assert list(dsd.prunable(model).weights) == names
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with dsd.sparse(model, optimizer, 0.5) as masks:
        model(torch.randn(4, 3, 8, 8)).sum().backward()
        optimizer.step()
        assert [row.zeros for row in dsd.mask_report(model, masks)] == [108, 288, 2176]
