"""The sampled selection equals its definition, a stable sort by magnitude, also on inputs made to mislead it."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dsd
from dsd import kth_smallest
from dsd.kth_smallest import all_but_smallest

KINDS = {
    "normal": lambda n, g: torch.randn(n, generator=g),
    "ties": lambda n, g: torch.randint(-3, 4, (n,), generator=g).float(),
    "all equal": lambda n, g: torch.full((n,), -0.5),
    "all zero, of both signs": lambda n, g: torch.zeros(n) * torch.randn(n, generator=g).sign(),
    "denormals": lambda n, g: torch.randint(-9, 10, (n,), generator=g, dtype=torch.int32).abs().view(torch.float32),
    "infinities": lambda n, g: torch.randn(n, generator=g) / torch.randint(0, 2, (n,), generator=g),
    "sorted": lambda n, g: torch.arange(n).float(),
    "mostly zero": lambda n, g: torch.randn(n, generator=g).relu().sub(1).relu(),
    "two clusters": lambda n, g: torch.randint(0, 2, (n,), generator=g) * 1e30 + torch.rand(n, generator=g),
}


def pruned_by_sorting(values: Tensor, count: int) -> Tensor:
    """Return the indices of the `count` smallest magnitudes, the first of equal ones. Denormals are exact in float64."""
    return values.double().abs().flatten().argsort(stable=True)[:count].sort().values


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce PART, so that a thousand values are many parts, each with its own candidates."""
    monkeypatch.setattr(kth_smallest, "PART", 64)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 3000),
    share=st.just(0.0) | st.just(1.0) | st.floats(0, 1),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
    seed=st.integers(0, 99),
)
def test_the_mask_is_that_of_a_stable_sort(kind: str, n: int, share: float, dtype: torch.dtype, seed: int) -> None:
    values = KINDS[kind](n, torch.Generator().manual_seed(seed)).nan_to_num(1.0, posinf=float("inf")).to(dtype)
    count = round(share * n)
    mask = all_but_smallest({"w": values}, count)["w"]
    assert torch.equal((~mask).nonzero().flatten(), pruned_by_sorting(values, count))


@settings(deadline=None, max_examples=60)
@given(
    shape=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    order=st.randoms(use_true_random=False),
    gaps=st.booleans(),
    share=st.floats(0, 1),
    kind=st.sampled_from(sorted(KINDS)),
)
def test_ties_are_broken_in_row_major_order_in_any_layout(
    shape: list[int], order, gaps: bool, share: float, kind: str
) -> None:
    n = torch.Size(shape).numel()
    values = KINDS[kind](n, torch.Generator().manual_seed(0)).nan_to_num(1.0).view(shape)
    dims = list(range(len(shape)))
    order.shuffle(dims)
    moved = values.permute(dims).contiguous().permute([dims.index(d) for d in range(len(shape))])
    if gaps:
        moved = torch.stack([moved, moved + 1], dim=-1)[..., 0]
    count = round(share * n)
    mask = all_but_smallest({"w": moved}, count)["w"]
    assert torch.equal((~mask).flatten().nonzero().flatten(), pruned_by_sorting(values, count))


@settings(deadline=None, max_examples=60)
@given(sizes=st.lists(st.integers(0, 900), min_size=2, max_size=5), share=st.floats(0, 1), seed=st.integers(0, 99))
def test_tensors_of_several_types_are_ranked_as_one(sizes: list[int], share: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    types = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
    values = {str(i): (torch.randn(n, generator=generator) * 8).round().to(types[i % 4]) for i, n in enumerate(sizes)}
    count = round(share * sum(sizes))
    masks = all_but_smallest(values, count)
    together = torch.cat(list(masks.values()))
    every = torch.cat([each.double() for each in values.values()])
    assert torch.equal((~together).nonzero().flatten(), pruned_by_sorting(every, count))


@pytest.mark.parametrize("count", [0, 1, 5_000, 19_999, 20_000])
def test_a_sample_that_misleads_costs_a_second_pass_and_nothing_else(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    sweeps = []
    sweep = kth_smallest._sweep
    monkeypatch.setattr(kth_smallest, "_sweep", lambda *args: sweeps.append(args[-2:]) or sweep(*args))
    largest = values.abs().argmax()
    # The sample is only one weight.
    monkeypatch.setattr(kth_smallest, "_spread", lambda number, size: largest.repeat(number).numpy())
    mask = all_but_smallest({"w": values}, count)["w"]
    assert torch.equal((~mask).nonzero().flatten(), pruned_by_sorting(values, count))
    assert len(sweeps) == (2 if count in (5_000,) else 1)


def test_few_values_of_many_are_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kth_smallest, "PART", 1 << 17)
    values = torch.randn(2_000_000, generator=torch.Generator().manual_seed(0))
    gathered = []
    sweep = kth_smallest._sweep
    monkeypatch.setattr(kth_smallest, "_sweep", lambda *args: gathered.append(sweep(*args)) or gathered[-1])
    mask = all_but_smallest({"w": values}, 600_000)["w"]
    assert torch.equal((~mask).nonzero().flatten(), pruned_by_sorting(values, 600_000))
    ((_, ((candidates, _),)),) = gathered
    assert 0 < candidates.size < 80_000  # 4 % of them


@pytest.mark.parametrize("place", [0, 63, 64, 999])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_nan_is_refused_wherever_it_lies(place: int, sparsity: float, dtype: torch.dtype) -> None:
    values = torch.full((1000,), float("inf"), dtype=dtype)
    assert int((~dsd.magnitude_mask(values, sparsity)).sum()) == round(1000 * sparsity)  # infinity is allowed
    values[place] = -float("nan")
    with pytest.raises(ValueError, match=r"^fc6 holds NaN"):
        dsd.magnitude_mask(values, sparsity, name="fc6")
