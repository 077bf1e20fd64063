"""Karpathy's vgg_feats.mat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch

from tasks.flickr8k.features import from_mat


def _save(path: Path, name: str = "feats", value: Any = None, **settings: Any) -> Path:
    scipy.io.savemat(path, {name: _matrix() if value is None else value, "other": np.ones(3)}, **settings)
    return path


def _matrix() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).random((4096, 5), np.float32)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_columns_become_rows_in_the_order_asked_for(tmp_path: Path, kind: type, compressed: bool) -> None:
    path = _save(tmp_path / "vgg_feats.mat", value=_matrix().astype(kind), do_compression=compressed)
    found = from_mat(path, [3, 0, 3])
    assert (found.shape, found.dtype) == ((3, 4096), torch.float32)
    assert found.is_contiguous()
    assert np.array_equal(found.numpy(), _matrix()[:, [3, 0, 3]].T)
    assert from_mat(path, []).shape == (0, 4096)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.ones((5, 4096)), r"feats is double of shape \(5, 4096\); expected single or double of shape \(4096, N\)"),
        (np.ones((4096, 2, 2)), r"shape \(4096, 2, 2\)"),
        (np.ones((4096, 2), np.int32), "feats is int32"),
        (np.full((4096, 1), "x", dtype=object), "feats is cell"),
        ({"a": 1.0}, "feats is struct"),
        ("text", "feats is char"),
        (scipy.sparse.csc_array(np.ones((4096, 2))), "feats is sparse"),
        (np.ones((4096, 2), np.complex128), "feats is not a matrix of real numbers"),
    ],
)
def test_nothing_but_a_plain_matrix_of_numbers_is_read(tmp_path: Path, value: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=rf"f\.mat: .*{expected}"):
        from_mat(_save(tmp_path / "f.mat", value=value), [0])


def test_a_missing_variable_and_columns_out_of_range_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"f\.mat holds no variable called feats; expected one"):
        from_mat(_save(tmp_path / "f.mat", name="features"), [0])
    path = _save(tmp_path / "g.mat")
    for column in (5, -1):
        with pytest.raises(ValueError, match=rf"g\.mat has no column {column}: feats has columns 0 to 4"):
            from_mat(path, [4, column])


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_a_value_that_is_no_number_is_refused_where_it_is_asked_for(tmp_path: Path, bad: float) -> None:
    matrix = _matrix().astype(np.float64)
    matrix[77, 2] = bad
    path = _save(tmp_path / "f.mat", value=matrix)
    assert from_mat(path, [0, 1, 3, 4]).shape == (4, 4096)
    with pytest.raises(ValueError, match=r"f\.mat: column 2 of feats holds a value that is no number"):
        from_mat(path, [4, 2])


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    good = _save(tmp_path / "good.mat", do_compression=True).read_bytes()
    path = tmp_path / "f.mat"
    for damage in (b"", b"hello", good[:100], good[:130], good[: len(good) // 2], b"\x7f" * 5000):
        path.write_bytes(damage)
        with pytest.raises(ValueError, match=r"f\.mat is not a readable MATLAB file"):
            from_mat(path, [0])
    with pytest.raises(ValueError, match=r"absent\.mat is not a readable MATLAB file"):
        from_mat(tmp_path / "absent.mat", [0])
    header = bytearray(good[:128])
    header[124:128] = b"\x00\x02IM"  # MATLAB 7.3's version number, before HDF5
    path.write_bytes(bytes(header) + b"\x89HDF\r\n\x1a\n" + bytes(400))
    with pytest.raises(ValueError, match=r"f\.mat is a MATLAB 7\.3 file \(HDF5\); save it in MATLAB with -v7"):
        from_mat(path, [0])
