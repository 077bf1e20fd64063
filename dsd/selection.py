"""Which tensors are pruned: one rule, and a reason for each exclusion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import ParametrizationList


@dataclass(frozen=True)
class Prunable:
    """What is pruned and what is not.

    Attributes:
        weights: parameter by name, in the order of `named_parameters`; a tied tensor stands once, under its first name.
        excluded: for every other parameter name, the reason in plain English.
    """

    weights: dict[str, nn.Parameter]
    excluded: dict[str, str]


def unwrap(model: nn.Module) -> nn.Module:
    """Return the model inside any DataParallel, DistributedDataParallel and `torch.compile` wrappers."""
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := model._modules.get("_orig_mod"), nn.Module):
            model = inner
        else:
            return model


def all_names(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield every name of every parameter of the plain model, the second names of tied tensors included."""
    for name, parameter in unwrap(model).named_parameters(remove_duplicate=False):
        yield name.replace("_orig_mod.", ""), parameter  # a compiled submodule puts this into the middle of a name


def prunable(model: nn.Module, skip: Iterable[str] = ()) -> Prunable:
    """Say which parameters of `model` are pruned, and why each of the others is not.

    Pruned is every floating-point parameter of two dimensions or more that is trained. The rule never guesses which
    layer comes first: name a layer in `skip` to spare it.

    Args:
        model: any module; wrappers (DistributedDataParallel, `torch.compile`) are looked through.
        skip: names of parameters ("conv1.weight") or modules ("conv1": all below it), or patterns of either
            ("layer?.*.downsample"). An entry that matches any name of a tied tensor skips the tensor.

    Raises:
        ValueError: an entry of `skip` matches nothing; a trained tensor that is not skipped has no shape yet (a lazy module
            that has not run), or is what a parametrization (`weight_norm`, `orthogonal` ...) computes a weight from.
    """
    entries = (skip,) if isinstance(skip, str) else tuple(skip)
    first: dict[int, str] = {}
    skipped: dict[int, str] = {}
    unmatched = dict.fromkeys(entries)
    names = list(all_names(model))
    for name, parameter in names:
        first.setdefault(id(parameter), name)
        for entry in entries:
            if any(entry == path or fnmatchcase(path, entry) for path in _paths(name)):
                skipped.setdefault(id(parameter), entry)
                unmatched.pop(entry, None)
    for entry in unmatched:
        raise ValueError(f"skip entry {entry!r} matches no parameter{did_you_mean(entry, (n for n, _ in names))}")

    parametrized = {
        id(parameter)
        for module in unwrap(model).modules()
        if isinstance(module, ParametrizationList)
        for parameter in module.parameters(recurse=False)
    }
    weights: dict[str, nn.Parameter] = {}
    excluded: dict[str, str] = {}
    for name, parameter in names:
        if first[id(parameter)] != name:
            excluded[name] = f"the same tensor as {first[id(parameter)]}"
        elif id(parameter) in skipped:
            excluded[name] = f"skipped by {skipped[id(parameter)]!r}"
        elif not parameter.requires_grad:
            excluded[name] = "frozen (requires_grad is False)"
        elif not parameter.is_floating_point():
            excluded[name] = f"not floating point ({parameter.dtype})"
        elif isinstance(parameter, UninitializedParameter):
            raise ValueError(f"{name} has no shape yet: run a batch through the model first, or add {name} to `skip`")
        elif parameter.ndim < 2:
            excluded[name] = "fewer than two dimensions (a bias or a normalisation's scale)"
        elif id(parameter) in parametrized:
            raise ValueError(
                f"{name} is parametrized: a zero in it need not be one in the weight that the layer computes with. Remove the "
                f"parametrization, or add {name} to `skip`"
            )
        else:
            weights[name] = parameter
    return Prunable(weights, excluded)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" with the known parameter or module names closest to `name`, or nothing."""
    close = get_close_matches(name, dict.fromkeys(path for each in known for path in _paths(each)), cutoff=0.5)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def _paths(name: str) -> list[str]:
    """Return "a.b.c" as ["a", "a.b", "a.b.c"]: the modules a parameter lies in, and itself."""
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]
