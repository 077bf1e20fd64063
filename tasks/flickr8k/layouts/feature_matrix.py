"""Karpathy's `vgg_feats.mat`: fc7 of VGG-16, a column for every picture in his JSON."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy.io
import scipy.io.matlab
import torch
from torch import Tensor

from tasks.data.verification import some

_VARIABLE = "feats"
_FC7 = 4096
_COMPRESSED = 15  # miCOMPRESSED, the type of a deflated variable ("MAT-File Level 5 File Format", MathWorks)
_LIMIT = 64 << 20  # inflated size in bytes that is allowed for every file
_RATIO = 32  # maximum ratio of inflated to file size above that; features of a network compress to a third at best


def problem(path: Path, columns: Mapping[str, int]) -> str:
    """Check the header of a feature matrix; return a sentence about what is wrong, or "" if it is usable.

    Args:
        path: a MATLAB file (before version 7.3) with a real matrix `feats`, (4096, N).
        columns: the columns to use, by picture name, counted from 0.
    """
    try:
        allowed = max(_LIMIT, _RATIO * path.stat().st_size)
        if _inflated(path, allowed) > allowed:
            return f"{path.name} would inflate to more than {allowed:,} bytes: no matrix of features shrinks so far"
        # MATLAB files may hold objects and functions; only a matrix of numbers is read.
        found = [(shape, kind) for name, shape, kind in scipy.io.whosmat(path, appendmat=False) if name == _VARIABLE]
    except NotImplementedError:
        return f"{path.name} is a MATLAB 7.3 file (HDF5); save it in MATLAB with -v7"
    except Exception as error:  # parsers may raise any error on damaged files
        return f"{path.name} is not a readable MATLAB file ({type(error).__name__}: {error})"
    if len(found) != 1:
        return f"{path.name} holds {len(found) or 'no'} variable{'s' * bool(found)} called {_VARIABLE}; expected one"
    shape, kind = found[0]
    if kind not in ("single", "double") or len(shape) != 2 or shape[0] != _FC7:
        return f"{path.name}: {_VARIABLE} is {kind} of shape {shape}; expected single or double of shape ({_FC7}, N)"
    if outside := [name for name, column in columns.items() if not 0 <= column < shape[1]]:
        return f"{path.name} has {shape[1]:,} columns, too few for the imgid of {some(outside)}"
    return ""


def _inflated(path: Path, enough: int) -> int:
    """Return the inflated size of the compressed variables of a MATLAB 5 file in bytes; stop above `enough`."""
    if scipy.io.matlab.matfile_version(path, appendmat=False)[0] != 1:
        return 0  # other versions are not compressed
    total = 0
    with path.open("rb") as file:
        order = "<" if file.read(128)[126:] == b"IM" else ">"  # as in scipy
        while len(tag := file.read(8)) == 8 and total <= enough:
            kind, remaining = struct.unpack(f"{order}II", tag)
            if kind != _COMPRESSED:
                file.seek(remaining, 1)
                continue
            inflater = zlib.decompressobj()
            while total <= enough and (block := file.read(min(remaining, 1 << 16))):
                remaining -= len(block)
                while block and total <= enough:
                    total += len(inflater.decompress(block, 1 << 20))
                    block = inflater.unconsumed_tail
    return total


def load(path: Path, columns: Mapping[str, int]) -> Tensor:
    """Return the given columns in order, (len(columns), 4096) float32. `path` and `columns` are as in `problem`.

    Raises:
        ValueError: there is a problem, or a value is not finite.
    """
    if found := problem(path, columns):
        raise ValueError(found)
    try:
        feats = scipy.io.loadmat(path, appendmat=False, variable_names=[_VARIABLE])[_VARIABLE]
    except Exception as error:  # as above
        raise ValueError(f"{path.name} is not a readable MATLAB file ({type(error).__name__}: {error})") from error
    if feats.dtype.kind != "f":  # the header does not distinguish complex from real numbers
        raise ValueError(f"{path.name}: {_VARIABLE} is not a matrix of real numbers")
    with np.errstate(over="ignore"):  # overflow gives infinity, which is rejected below
        chosen = feats.T[list(columns.values())].astype(np.float32)
    finite = np.isfinite(chosen).all(axis=1)
    if not finite.all():
        name = list(columns)[int(np.argmin(finite))]
        raise ValueError(
            f"{path.name}: column {columns[name]} of {_VARIABLE} (imgid of {name}) holds a value that is no number"
        )
    return torch.from_numpy(np.ascontiguousarray(chosen))
