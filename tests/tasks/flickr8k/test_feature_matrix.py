"""Karpathy's vgg_feats.mat."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch

from tasks.flickr8k.layouts import feature_matrix


def _save(path: Path, name: str = "feats", value: Any = None, **settings: Any) -> Path:
    scipy.io.savemat(path, {name: _matrix() if value is None else value, "other": np.ones(3)}, **settings)
    return path


def _matrix() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).random((4096, 5), np.float32)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_columns_become_rows_in_the_order_asked_for(tmp_path: Path, kind: type, compressed: bool) -> None:
    path = _save(tmp_path / "vgg_feats.mat", value=_matrix().astype(kind), do_compression=compressed)
    wanted = {"d.jpg": 3, "a.jpg": 0, "e.jpg": 4}
    assert feature_matrix.problem(path, wanted) == ""
    found = feature_matrix.load(path, wanted)
    assert (found.shape, found.dtype) == ((3, 4096), torch.float32)
    assert found.is_contiguous()
    assert np.array_equal(found.numpy(), _matrix()[:, [3, 0, 4]].T)
    assert feature_matrix.load(path, {}).shape == (0, 4096)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.ones((5, 4096)), "feats is double of shape (5, 4096); expected single or double of shape (4096, N)"),
        (np.ones((4096, 2, 2)), "shape (4096, 2, 2)"),
        (np.ones((4096, 2), np.int32), "feats is int32"),
        (np.full((4096, 1), "x", dtype=object), "feats is cell"),
        ({"a": 1.0}, "feats is struct"),
        ("text", "feats is char"),
        (scipy.sparse.csc_array(np.ones((4096, 2))), "feats is sparse"),
    ],
)
def test_the_header_shows_whether_it_is_a_plain_matrix_of_numbers(tmp_path: Path, value: Any, expected: str) -> None:
    path = _save(tmp_path / "f.mat", value=value)
    found = feature_matrix.problem(path, {"a.jpg": 0})
    assert found.startswith("f.mat: ")
    assert expected in found
    with pytest.raises(ValueError, match=f"^{re.escape(found)}$"):
        feature_matrix.load(path, {"a.jpg": 0})


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    path = _save(tmp_path / "f.mat", value=np.ones((4096, 2), np.complex128))
    with pytest.raises(ValueError, match=r"f\.mat: feats is not a matrix of real numbers"):
        feature_matrix.load(path, {"a.jpg": 0})


def test_a_missing_variable_and_columns_out_of_range_are_named(tmp_path: Path) -> None:
    found = feature_matrix.problem(_save(tmp_path / "f.mat", name="features"), {"a.jpg": 0})
    assert found == "f.mat holds no variable called feats; expected one"
    path = _save(tmp_path / "g.mat")
    for column in (5, -1):
        found = feature_matrix.problem(path, {"a.jpg": 4, "b.jpg": column})
        assert found == "g.mat has 5 columns, too few for the imgid of 1 (b.jpg)"
        with pytest.raises(ValueError, match=re.escape(found)):
            feature_matrix.load(path, {"a.jpg": 4, "b.jpg": column})


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_a_value_that_is_no_number_is_refused_where_it_is_asked_for(tmp_path: Path, bad: float) -> None:
    values = _matrix().astype(np.float64)
    values[77, 2] = bad
    path = _save(tmp_path / "f.mat", value=values)
    assert feature_matrix.load(path, {"a.jpg": 0, "b.jpg": 1, "d.jpg": 3}).shape == (3, 4096)
    with pytest.raises(
        ValueError, match=r"f\.mat: column 2 of feats \(imgid of c\.jpg\) holds a value that is not finite"
    ):
        feature_matrix.load(path, {"e.jpg": 4, "c.jpg": 2})


def test_damaged_files_and_other_versions_are_named(tmp_path: Path) -> None:
    good = _save(tmp_path / "good.mat", do_compression=True).read_bytes()
    path = tmp_path / "f.mat"
    for damage in (b"", b"hello", good[:100], good[:130], b"\x7f" * 5000):
        path.write_bytes(damage)
        assert feature_matrix.problem(path, {}).startswith("f.mat is not a readable MATLAB file")
    assert feature_matrix.problem(tmp_path / "absent.mat", {}).startswith("absent.mat is not a readable MATLAB file")
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(ValueError, match=r"f\.mat is not a readable MATLAB file"):
        feature_matrix.load(path, {"a.jpg": 0})
    header = bytearray(good[:128])
    header[124:128] = b"\x00\x02IM"  # MATLAB 7.3's version number, before HDF5
    path.write_bytes(bytes(header) + b"\x89HDF\r\n\x1a\n" + bytes(400))
    assert feature_matrix.problem(path, {}) == "f.mat is a MATLAB 7.3 file (HDF5); save it in MATLAB with -v7"
