"""The exact `count` smallest magnitudes among CPU tensors, in little more than one pass over memory.

A sample gives two pivots around the wanted rank. A pass over the values reads blocks that fit in the cache. It keeps values at or
above the low pivot, counts the rest, and collects the candidates between the pivots. Only the candidates, a few per cent of the
values, are partially sorted. If the pivots miss the rank, a second pass takes all values as candidates, so the result is exact.

Magnitudes are compared as integers. In every IEEE format, the bits without the sign bit have the same order as the magnitudes, with
inf below NaN. Processor modes that flush denormals do not affect integers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

Bits: TypeAlias = np.ndarray[tuple[int], np.dtype[np.unsignedinteger[Any]]]
Flags: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
Positions: TypeAlias = np.ndarray[tuple[int], np.dtype[np.intp]]

INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by element size: the integer type to view a float's bits
PART = 1 << 17  # values per block of a pass: 512 KiB of float32, which fits in a core's L2 cache
SAMPLE = 1 << 17  # maximum number of sampled values; small tensors use one in 64
DEVIATIONS = 4  # standard deviations of the sampled rank on each side; a miss about once in 16,000
# The fractional part of the golden ratio in units of 2 ** -64. Its multiples are evenly spread.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def all_but_smallest(values: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """Return masks that are False at the `count` smallest magnitudes of all `values` together.

    Equal magnitudes are pruned in the order of the tensors, and within a tensor in row-major order.

    Args:
        values: floating point, on the CPU, of any shapes, strides and types; compared in the narrowest type that holds all.
        count: from 0 to the number of values.

    Returns:
        bool, with the shapes of `values`; also with their strides if they have no gaps in memory.

    Raises:
        ValueError: a tensor (named) contains NaN.
    """
    if not values:
        return {}
    dense = {name: _dense(value) for name, value in _of_one_type(values).items()}
    masks = {name: torch.empty_like(value, dtype=torch.bool) for name, value in dense.items()}
    every = [_flat(value).view(INTEGERS[value.element_size()]).numpy() for value in dense.values()]
    bits = [each.view(f"u{each.itemsize}") for each in every]
    kept: list[Flags] = [_flat(mask).numpy() for mask in masks.values()]
    total = sum(each.size for each in bits)
    if total == 0:
        return masks

    low, high = _pivots(bits, count, total)
    below, found = _sweep(dense, bits, kept, low, high)
    if not 0 <= count - below <= sum(candidates.size for candidates, _ in found):
        below, found = _sweep(dense, bits, kept, *_widest(bits[0].dtype))
    left = count - below
    if not left:
        return masks
    threshold = np.partition(np.concatenate([candidates for candidates, _ in found]), left - 1)[left - 1]
    for flags, (candidates, positions) in zip(kept, found, strict=True):
        smaller = positions[candidates < threshold]
        flags[smaller] = False
        left -= smaller.size
    for value, flags, (candidates, positions) in zip(dense.values(), kept, found, strict=True):
        tied = positions[candidates == threshold]
        if tied.size > left and not value.is_contiguous():
            tied = tied[_row_major(value, tied).argsort()]
        flags[tied[:left]] = False
        left -= min(left, tied.size)
    return masks


def in_memory_order(tensor: Tensor) -> list[int]:
    """Return the dimensions sorted by stride, from the largest to the smallest."""
    if tensor.is_contiguous():
        return list(range(tensor.ndim))
    return sorted(range(tensor.ndim), key=tensor.stride, reverse=True)


def _of_one_type(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the values in the narrowest type that holds all of them, without a copy if possible."""
    types = {value.dtype if value.element_size() in INTEGERS else torch.float32 for value in values.values()}
    common = functools.reduce(torch.promote_types, types)
    return {name: value.detach().to(common) for name, value in values.items()}


def _dense(tensor: Tensor) -> Tensor:
    """Return `tensor`, or a contiguous copy if it has gaps in memory."""
    return tensor if tensor.permute(in_memory_order(tensor)).is_contiguous() else tensor.contiguous()


def _flat(tensor: Tensor) -> Tensor:
    """Return a view (n,) of a tensor without gaps, in the order of its memory."""
    return tensor.permute(in_memory_order(tensor)).view(-1)


def _widest(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Return the pivots that enclose all values."""
    return dtype.type(0), dtype.type(np.iinfo(dtype).max)


def _pivots(bits: list[Bits], count: int, total: int) -> tuple[Any, Any]:
    """Return two doubled magnitudes that very likely enclose the value of rank `count`. For few values they enclose all."""
    low, high = _widest(bits[0].dtype)
    wanted = min(SAMPLE, total // 64)
    sample = np.concatenate([each[_spread(-(-wanted * each.size // total), each.size)] for each in bits])
    sample += sample
    share = count / total
    slack = DEVIATIONS * math.sqrt(sample.size * share * (1 - share)) + DEVIATIONS
    first, last = math.floor(share * sample.size - slack), math.ceil(share * sample.size + slack)
    sample.sort()
    return sample[first] if first > 0 else low, sample[last] if last < sample.size else high


def _spread(count: int, size: int) -> Positions:
    """Return `count` indices below `size`, evenly spread, but without a period that could match the tensor's layout."""
    fractions = np.arange(count, dtype=np.uint64) * GOLDEN >> np.uint64(32)  # modulo 1, in units of 2 ** -32
    return (fractions * np.uint64(size) >> np.uint64(32)).astype(np.intp)


def _sweep(
    values: Mapping[str, Tensor], bits: list[Bits], kept: list[Flags], low: Any, high: Any
) -> tuple[int, list[tuple[Bits, Positions]]]:
    """Set `kept` where magnitude >= low. Return how many are below, and each tensor's candidates with their positions."""
    first = next(iter(values.values()))
    infinity = 2 * int(torch.tensor(math.inf, dtype=first.dtype).view(INTEGERS[first.element_size()]).item())
    doubled, between = np.empty(PART, bits[0].dtype), np.empty(PART, np.bool_)
    below, found = 0, []
    for name, each, flags in zip(values, bits, kept, strict=True):
        candidates, positions = [each[:0]], [np.empty(0, np.intp)]
        for start in range(0, each.size, PART):
            part = each[start : start + PART]
            magnitudes = np.add(part, part, out=doubled[: part.size])  # shifts out the sign bit
            if magnitudes.max() > infinity:
                raise ValueError(f"{name} holds NaN, which has no magnitude to prune by")
            part_kept = np.greater_equal(magnitudes, low, out=flags[start : start + PART])
            below += part.size - int(np.count_nonzero(part_kept))
            low_enough = np.less_equal(magnitudes, high, out=between[: part.size])
            where = np.flatnonzero(np.logical_and(low_enough, part_kept, out=low_enough))
            candidates.append(magnitudes[where])
            positions.append(where + start)
        found.append((np.concatenate(candidates), np.concatenate(positions)))
    return below, found


def _row_major(tensor: Tensor, positions: Positions) -> Positions:
    """Return the row-major index of each of `positions`, which are in memory order."""
    order = in_memory_order(tensor)
    coordinates = np.unravel_index(positions, [tensor.shape[dimension] for dimension in order])
    return np.ravel_multi_index([coordinates[order.index(d)] for d in range(tensor.ndim)], tensor.shape)
