"""The rule that decides which parameters are pruned, and the reason for each exclusion."""

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
    """The parameters that are pruned, and the excluded ones.

    Attributes:
        weights: parameters by name, in the order of `named_parameters`; a tied tensor occurs once, under its first name.
        excluded: all other parameter names, each with the reason.
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
        inner = next((module for module in wrapped if isinstance(module, nn.Module)), None)
        if inner is None:
            return model
        model = inner


def all_names(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield every name of every parameter of the plain model, including all names of tied tensors."""
    for name, parameter in unwrap(model).named_parameters(remove_duplicate=False):
        yield name.replace("_orig_mod.", ""), parameter  # a compiled submodule adds this to names


def prunable(model: nn.Module, skip: Iterable[str] = ()) -> Prunable:
    """Return which parameters of `model` are pruned, and why the other parameters are not.

    Every trained floating-point parameter with at least two dimensions is pruned, except biases, scales of normalisations and
    parameters with one number per channel. The rule does not use the order of layers: use `skip` to exclude a layer, such
    as the first one.

    Args:
        model: any module; wrappers (DistributedDataParallel, `torch.compile`) are removed.
        skip: names of parameters ("conv1.weight") or modules ("conv1": all parameters in it), or patterns of either
            ("layer?.*.downsample"). An entry that matches any name of a tied tensor skips the tensor.

    Raises:
        ValueError: an entry of `skip` matches nothing; the model is wrapped in FullyShardedDataParallel (FSDP1); or a trained
            tensor cannot be pruned and is not skipped. A tensor cannot be pruned in these cases: it has no shape yet (a lazy module
            before its first batch); it is the input of a parametrization or hook that computes a weight (`weight_norm`,
            `orthogonal`, `torch.nn.utils.prune` and so on); it is in a scripted module; it is neither a plain tensor (but for
            example quantised or sparse) nor sharded by `fully_shard`; it is a DTensor of partial sums; it has a 1-byte type
            (float8); it was made in inference mode; or it is expanded, so that entries share memory. (Models on the meta device are
            accepted here; `select` and `hold` refuse them.)
    """
    if any(type(module).__name__ == "FullyShardedDataParallel" for module in model.modules()):
        raise ValueError("FullyShardedDataParallel flattens weights, which cannot be pruned: use fully_shard (FSDP2)")
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
        elif not parameter.is_meta and (refusal := unfit(parameter)):  # models on the meta device are accepted
            raise ValueError(f"{name} {refusal}, or add {name} to `skip`")
        else:
            weights[name] = parameter
    return Prunable(weights, excluded)


def unfit(parameter: nn.Parameter) -> str | None:
    """Return why a mask cannot be held on a parameter, and what to do; None if it can."""
    if parameter.layout != torch.strided:
        return f"is sparse ({parameter.layout}): make it dense"
    plain = local(parameter.data)
    if type(plain) is not Tensor:
        return f"is a {type(plain).__name__} (possibly quantised), not a plain tensor: prune it before the conversion"
    if sharded(parameter) and any(placement.is_partial() for placement in parameter.placements):  # type: ignore[attr-defined]
        return "is a DTensor of partial sums: redistribute it"
    if parameter.element_size() == 1:
        return f"is {parameter.dtype}: hold the mask in a wider type"
    if parameter.is_meta:
        return "is on the meta device and has no values: load them first"
    if parameter.is_inference():
        return "was made in inference mode and cannot be changed: clone it"
    if any(stride == 0 and size > 1 for size, stride in zip(parameter.shape, parameter.stride(), strict=True)):
        return "is expanded, so several weights share a number: clone it"
    return None


_Owners = list[tuple[nn.Module, str]]


def _owners(model: nn.Module) -> dict[int, _Owners]:
    """Return the modules that contain each parameter, with its name there, by the parameter's id."""
    owners: dict[int, _Owners] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            owners.setdefault(id(parameter), []).append((module, name))
    return owners


def _spared(owners: _Owners, parameter: nn.Parameter) -> str | None:
    """Return why a parameter with at least two dimensions is not the weight of a layer; None if it is one."""
    if all(isinstance(module, _NORMALISATIONS) or type(module).__name__.endswith("Norm") for module, _ in owners):
        return "a normalisation's scale or bias"
    if all(name == "bias" or name.startswith("bias_") or name.endswith("_bias") for _, name in owners):
        return "a bias"
    if all("weight" not in name for _, name in owners) and parameter.numel() == max(parameter.shape):
        return "one number a channel (a layer's scale, or a token)"
    return None


def _refused(owners: _Owners) -> str | None:
    """Return why a zero in a parameter may not be a zero in a weight, and what to do; None if it is always one."""
    for module, name in owners:
        if isinstance(module, torch.jit.ScriptModule):
            return "is in a scripted module, whose weights cannot be held: prune first, then script"
        if isinstance(module, ParametrizationList):
            return (
                "is parametrized: a zero in it may not be a zero in the weight of the layer. Remove the parametrization"
            )
        for weight, value in vars(module).items():  # the names of torch.nn.utils.weight_norm, spectral_norm and prune
            if isinstance(value, Tensor) and name.startswith(f"{weight}_"):
                return (
                    f"is the input of a hook that computes {weight}: a zero in it may not be a zero in the weight of the layer. "
                    "Remove the hook (remove_weight_norm, remove_spectral_norm, prune.remove)"
                )
    return None


def matches(entry: str, name: str) -> bool:
    """Return whether `entry` is `name` or the name of a module that contains it, or a pattern that matches one of these names."""
    return any(entry == path or fnmatchcase(path, entry) for path in _paths(name))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" with the known parameter or module names closest to `name`, or ""."""
    close = get_close_matches(name, dict.fromkeys(path for each in known for path in _paths(each)), cutoff=0.5)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def _paths(name: str) -> list[str]:
    """Return the names of the modules that contain a parameter, and its name: ["a", "a.b", "a.b.c"] for "a.b.c"."""
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]
