"""Which tensors are pruned: one rule, and a reason for each exclusion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import UninitializedParameter
from torch.nn.utils.parametrize import ParametrizationList

from dsd.sharding import local, sharded

_NORMALISATIONS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm, _NormBase)


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
    """Return the model inside any DataParallel, DistributedDataParallel, `torch.compile` and Lightning Fabric wrappers."""
    while True:
        if isinstance(model, torch.jit.ScriptModule):
            return model
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
            continue
        wrapped = (model._modules.get(name) for name in ("_orig_mod", "_forward_module"))
        inner = next((one for one in wrapped if isinstance(one, nn.Module)), None)
        if inner is None:
            return model
        model = inner


def all_names(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield every name of every parameter of the plain model, the second names of tied tensors included."""
    for name, parameter in unwrap(model).named_parameters(remove_duplicate=False):
        yield name.replace("_orig_mod.", ""), parameter  # a compiled submodule puts this into the middle of a name


def prunable(model: nn.Module, skip: Iterable[str] = ()) -> Prunable:
    """Say which parameters of `model` are pruned, and why each of the others is not.

    Pruned is every floating-point parameter of two dimensions or more that is trained, except what is a bias, a
    normalisation's scale or one number a channel, whatever its shape. The rule never guesses which layer comes first: name a
    layer in `skip` to spare it.

    Args:
        model: any module; wrappers (DistributedDataParallel, `torch.compile`) are looked through.
        skip: names of parameters ("conv1.weight") or modules ("conv1": all below it), or patterns of either
            ("layer?.*.downsample"). An entry that matches any name of a tied tensor skips the tensor.

    Raises:
        ValueError: an entry of `skip` matches nothing; a trained tensor that is not skipped has no shape yet (a lazy module
            that has not run), is what a parametrization or a hook (`weight_norm`, `orthogonal`, `torch.nn.utils.prune` ...)
            computes a weight from, lies in a scripted module, or is no plain tensor (quantised, sparse ...), nor one that
            `fully_shard` has sharded; the model is wrapped in FullyShardedDataParallel (FSDP1).
    """
    if any(type(module).__name__ == "FullyShardedDataParallel" for module in model.modules()):
        raise ValueError(
            "FullyShardedDataParallel flattens weights, in which nothing can be pruned: use fully_shard (FSDP2)"
        )
    entries = (skip,) if isinstance(skip, str) else tuple(skip)
    first: dict[int, str] = {}
    skipped: dict[int, str] = {}
    unmatched = dict.fromkeys(entries)
    names = list(all_names(model))
    for name, parameter in names:
        first.setdefault(id(parameter), name)
        for entry in entries:
            if matches(entry, name):
                skipped.setdefault(id(parameter), entry)
                unmatched.pop(entry, None)
    for entry in unmatched:
        raise ValueError(f"skip entry {entry!r} matches no parameter{did_you_mean(entry, (n for n, _ in names))}")

    owners = _owners(unwrap(model))
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
        elif refusal := _refused(owners[id(parameter)]):
            raise ValueError(f"{name} {refusal}, or add {name} to `skip`")
        elif reason := _spared(owners[id(parameter)], parameter):
            excluded[name] = reason
        elif not parameter.is_meta and (
            refusal := unfit(parameter)
        ):  # a model without values can be asked all the same
            raise ValueError(f"{name} {refusal}, or add {name} to `skip`")
        else:
            weights[name] = parameter
    return Prunable(weights, excluded)


def unfit(parameter: nn.Parameter) -> str | None:
    """Say why no mask can be held on a parameter, and what to do; None where one can."""
    if parameter.layout != torch.strided:
        return f"is sparse ({parameter.layout}): make it dense"
    plain = local(parameter.data)
    if type(plain) is not Tensor:
        return f"is a {type(plain).__name__} (quantised, perhaps) and no plain tensor: prune before it is made one"
    if sharded(parameter) and any(placement.is_partial() for placement in parameter.placements):  # type: ignore[attr-defined]
        return "is a DTensor of partial sums: redistribute it"
    if parameter.element_size() == 1:
        return f"is {parameter.dtype}: hold the mask in a wider type"
    if parameter.is_meta:
        return "is on the meta device and has no values: load them first"
    if parameter.is_inference():
        return "was made in inference mode and cannot be changed: clone it"
    if any(stride == 0 and size > 1 for size, stride in zip(parameter.shape, parameter.stride(), strict=True)):
        return "is expanded, several weights being one number: clone it"
    return None


_Owners = list[tuple[nn.Module, str]]


def _owners(model: nn.Module) -> dict[int, _Owners]:
    """Return for each parameter's id the modules that have it, with its name in each."""
    owners: dict[int, _Owners] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            owners.setdefault(id(parameter), []).append((module, name))
    return owners


def _spared(owners: _Owners, parameter: nn.Parameter) -> str | None:
    """Say why a parameter of two dimensions or more is no weight of a layer; None where it is one."""
    if all(isinstance(module, _NORMALISATIONS) or type(module).__name__.endswith("Norm") for module, _ in owners):
        return "a normalisation's scale or bias"
    if all(name == "bias" or name.startswith("bias_") or name.endswith("_bias") for _, name in owners):
        return "a bias"
    if all("weight" not in name for _, name in owners) and parameter.numel() == max(parameter.shape):
        return "one number a channel (a layer's scale, or a token)"
    return None


def _refused(owners: _Owners) -> str | None:
    """Say why a zero in a parameter need not be one in a weight, and what to do; None where it is one."""
    for module, name in owners:
        if isinstance(module, torch.jit.ScriptModule):
            return "lies in a scripted module, in which weights cannot be followed: prune first, then script"
        if isinstance(module, ParametrizationList):
            return (
                "is parametrized: a zero in it need not be one in the weight that the layer computes with. Remove the "
                "parametrization"
            )
        for weight, value in vars(module).items():  # as torch.nn.utils.weight_norm, spectral_norm and prune do it
            if isinstance(value, Tensor) and name.startswith(f"{weight}_"):
                return (
                    f"is what a hook computes {weight} from: a zero in it need not be one in the weight that the layer computes "
                    "with. Remove the hook (remove_weight_norm, remove_spectral_norm, prune.remove)"
                )
    return None


def matches(entry: str, name: str) -> bool:
    """Return whether an entry names the parameter of that name or a module above it, or is a pattern of either."""
    return any(entry == path or fnmatchcase(path, entry) for path in _paths(name))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" with the known parameter or module names closest to `name`, or nothing."""
    close = get_close_matches(name, dict.fromkeys(path for each in known for path in _paths(each)), cutoff=0.5)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def _paths(name: str) -> list[str]:
    """Return "a.b.c" as ["a", "a.b", "a.b.c"]: the modules a parameter lies in, and itself."""
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]
