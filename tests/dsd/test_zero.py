import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import dsd
from dsd.zeroing import zero_pruned_

BITS = {torch.float32: torch.int32, torch.float64: torch.int64, torch.bfloat16: torch.int16, torch.float16: torch.int16}
AWKWARD = torch.tensor([float("nan"), float("-inf"), float("inf"), -0.0, 0.0, -1.5, 3.25, 1e-40])


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def _threads(request: pytest.FixtureRequest, _one_thread_one_seed: None) -> None:
    """One thread uses NumPy, several use torch."""
    torch.set_num_threads(request.param)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("dtype", BITS)
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "gaps", "mask differs"])
def test_pruned_become_positive_zero_and_kept_keep_their_bits(dtype: torch.dtype, layout: str) -> None:
    values = AWKWARD.to(dtype).repeat(3, 2).contiguous()
    kept = torch.rand(values.shape) > 0.5
    if layout == "transposed":
        values, kept = values.t(), kept.t()
    elif layout == "gaps":
        values = torch.stack([values, values], dim=-1)[..., 0]
    elif layout == "mask differs":
        kept = kept.t().contiguous().t()
    before = values.clone()
    zero_pruned_(values, kept)
    bits = values.contiguous().view(BITS[dtype])
    assert torch.equal(bits[kept], before.contiguous().view(BITS[dtype])[kept])
    assert (bits[~kept] == 0).all()


@pytest.mark.usefixtures("_threads")
def test_a_tensor_longer_than_the_scratch_buffer() -> None:
    values = torch.full(((1 << 21) + 5,), float("nan"))
    kept = torch.zeros(values.shape, dtype=torch.bool)
    kept[-1] = True
    values[-1] = 2
    zero_pruned_(values, kept)
    assert values[-1] == 2
    assert values.count_nonzero() == 1


@pytest.mark.usefixtures("_threads")
def test_a_parameter_that_needs_gradients_is_changed_in_place() -> None:
    weight = nn.Parameter(-torch.ones(4, 4))
    address, version = weight.data_ptr(), weight._version
    zero_pruned_(weight, torch.eye(4, dtype=torch.bool))
    assert torch.equal(weight.detach(), -torch.eye(4))
    assert weight.data_ptr() == address
    assert weight._version > version  # autograd can tell that a saved weight has changed


def test_numpy_keeps_the_buffer_size_of_its_user() -> None:
    before = np.setbufsize(4096)
    zero_pruned_(torch.ones(3), torch.ones(3, dtype=torch.bool))
    assert np.setbufsize(before) == 4096


@settings(deadline=None, max_examples=50)
@given(shape=st.lists(st.integers(0, 9), min_size=1, max_size=4), seed=st.integers(0, 1000))
def test_pack_and_unpack_are_inverse(shape: list[int], seed: int) -> None:
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) > 0.5
    packed = dsd.pack({"w": mask})
    assert packed["w"]["bits"].dtype == torch.uint8
    assert packed["w"]["bits"].shape == (-(-mask.numel() // 8),)
    assert torch.equal(dsd.unpack(packed)["w"], mask)


@pytest.mark.parametrize("found", [7, 9])
def test_bits_that_are_not_as_many_as_the_shape_takes_are_refused(found: int) -> None:
    with pytest.raises(ValueError, match=rf"the mask of w has {found} bytes, but its shape \(8, 8\) takes 8"):
        dsd.unpack({"w": {"bits": torch.full((found,), 255, dtype=torch.uint8), "shape": [8, 8]}})


def test_packed_masks_survive_a_weights_only_load(model: nn.Module) -> None:
    model.to(memory_format=torch.channels_last)
    masks = dsd.select(model, 0.3)
    file = io.BytesIO()
    torch.save(dsd.pack(masks), file)
    file.seek(0)
    loaded = dsd.unpack(torch.load(file, weights_only=True), like=model)
    assert list(loaded) == list(masks)
    for name, mask in masks.items():
        assert torch.equal(loaded[name], mask)
        assert loaded[name].dtype == torch.bool
        assert loaded[name].stride() == mask.stride() == model.get_parameter(name).stride()
    assert dsd.unpack(dsd.pack(masks), device="meta")["3.weight"].device.type == "meta"
