import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import dsd
from dsd.sparsity import pruned_count


def stable_order_mask(weight: Tensor, count: int) -> Tensor:
    """The definition, written the slow way: a stable sort by magnitude."""
    kept = torch.ones(weight.numel(), dtype=torch.bool)
    kept[weight.detach().double().abs().flatten().argsort(stable=True)[:count]] = False
    return kept.view(weight.shape)


@settings(deadline=None, max_examples=200)
@given(
    values=st.lists(st.integers(-3, 3) | st.floats(-1, 1, width=16) | st.just(float("inf")), min_size=1, max_size=60),
    sparsity=st.floats(0, 1),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
)
def test_exactly_k_are_pruned_by_magnitude_then_index(values: list[float], sparsity: float, dtype: torch.dtype) -> None:
    weight = torch.tensor(values, dtype=dtype)
    mask = dsd.magnitude_mask(weight, sparsity)
    count = round(sparsity * len(values))
    assert int((~mask).sum()) == count
    assert torch.equal(mask, stable_order_mask(weight, count))


@settings(deadline=None, max_examples=50)
@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    order=st.randoms(use_true_random=False),
    sparsity=st.floats(0, 1),
)
def test_memory_order_changes_the_strides_and_nothing_else(shape: list[int], order, sparsity: float) -> None:
    dims = list(range(len(shape)))
    order.shuffle(dims)
    weight = torch.randint(-2, 3, shape).float()
    permuted = weight.permute(dims).contiguous().permute([dims.index(d) for d in range(len(shape))])
    mask = dsd.magnitude_mask(permuted, sparsity)
    assert mask.stride() == torch.empty_like(permuted).stride()
    assert torch.equal(mask, dsd.magnitude_mask(weight, sparsity))


def test_none_and_all_can_be_pruned() -> None:
    weight = torch.randn(3, 4)
    assert dsd.magnitude_mask(weight, 0.0).all()
    assert not dsd.magnitude_mask(weight, 1.0).any()
    assert dsd.magnitude_mask(torch.empty(0, 4), 0.5).shape == (0, 4)


def test_eighty_zeros_of_a_hundred_lose_the_first_fifty() -> None:
    weight = torch.cat([torch.zeros(80), torch.ones(20)])
    assert dsd.magnitude_mask(weight, 0.5).nonzero().flatten().tolist() == list(range(50, 100))


def test_counts_round_half_to_even() -> None:
    assert [pruned_count(n, 0.5) for n in (1, 2, 3, 5, 7)] == [0, 1, 2, 2, 4]
    assert pruned_count(102_760_448, 0.3) == 30_828_134


def test_float64_is_not_narrowed() -> None:
    weight = torch.tensor([1 + 2e-15, 1 + 1e-15, 1 + 3e-15], dtype=torch.float64)  # equal in float32
    assert dsd.magnitude_mask(weight, 1 / 3).tolist() == [True, False, True]


def test_more_than_two_to_the_24_weights() -> None:
    n = 2**24 + 12_345
    weight = torch.randn(n, dtype=torch.float32).round(decimals=2)  # some 800 distinct values: ties everywhere
    mask = dsd.magnitude_mask(weight, 0.3)
    pruned = weight[~mask].abs()
    assert pruned.numel() == round(0.3 * n)
    assert pruned.max() <= weight[mask].abs().min()


@pytest.mark.parametrize("sparsity", [-0.1, 1.1, float("nan")])
def test_a_share_outside_zero_to_one_is_refused(sparsity: float) -> None:
    with pytest.raises(ValueError, match=rf"sparsity must lie in \[0, 1\], got {sparsity}"):
        dsd.magnitude_mask(torch.ones(4), sparsity)


def test_nan_is_refused_by_name(model: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"^fc6 holds NaN"):
        dsd.magnitude_mask(torch.tensor([1.0, float("nan")]), 0.5, name="fc6")
    with torch.no_grad():
        model[3].weight[0, 0, 0, 0] = float("nan")
    for scope in ("layer", "global"):
        with pytest.raises(ValueError, match=r"^3\.weight holds NaN"):
            dsd.select(model, 0.5, scope=scope)


def test_select_by_layer_prunes_each_layer_by_its_share(model: nn.Module) -> None:
    masks = dsd.select(model, 0.3, skip=["0"])
    assert {name: int((~mask).sum()) for name, mask in masks.items()} == {"3.weight": 173, "6.weight": 1306}
    for name, mask in masks.items():
        assert torch.equal(mask, dsd.magnitude_mask(model.get_parameter(name), 0.3))


def test_select_globally_prunes_one_exact_count_of_all(model: nn.Module) -> None:
    masks = dsd.select(model, 0.37, scope="global")
    weights = torch.cat([model.get_parameter(name).detach().flatten() for name in masks])
    together = torch.cat([mask.flatten() for mask in masks.values()])
    assert int((~together).sum()) == round(0.37 * weights.numel())
    assert torch.equal(together, stable_order_mask(weights, round(0.37 * weights.numel())))
    shares = [float((~mask).float().mean()) for mask in masks.values()]
    assert max(shares) - min(shares) > 0.1  # unlike the rule by layer


def test_random_masks_have_the_same_counts_and_follow_the_generator(model: nn.Module) -> None:
    def draw(net: nn.Module, seed: int, scope: str = "layer") -> dict[str, Tensor]:
        return dsd.select(net, 0.3, select="random", scope=scope, generator=torch.Generator().manual_seed(seed))

    first = draw(model, 7)
    assert [int((~m).sum()) for m in first.values()] == [round(0.3 * m.numel()) for m in first.values()]
    assert all(torch.equal(mask, draw(model, 7)[name]) for name, mask in first.items())
    assert not any(torch.equal(mask, draw(model, 8)[name]) for name, mask in first.items())
    channels_last = draw(model.to(memory_format=torch.channels_last), 7)
    assert all(torch.equal(mask, channels_last[name]) for name, mask in first.items())
    assert channels_last["3.weight"].stride() == model[3].weight.stride() != first["3.weight"].stride()
    total = sum(m.numel() for m in first.values())
    assert sum(int((~m).sum()) for m in draw(model, 7, "global").values()) == round(0.3 * total)


def test_random_masks_are_uniform() -> None:
    layer = nn.Linear(5, 4)
    generator = torch.Generator().manual_seed(0)
    times_kept = sum(dsd.select(layer, 0.5, select="random", generator=generator)["weight"].int() for _ in range(400))
    assert 160 <= int(times_kept.min()) <= int(times_kept.max()) <= 240  # 200 expected, standard deviation 10


def test_arguments_that_name_nothing_are_refused(model: nn.Module) -> None:
    with pytest.raises(ValueError, match="scope must be 'layer' or 'global', got 'model'"):
        dsd.select(model, 0.3, scope="model")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="select must be 'magnitude' or 'random', got 'rand'"):
        dsd.select(model, 0.3, select="rand")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"nothing to prune: .*frozen"):
        dsd.select(nn.Linear(2, 2, bias=False).requires_grad_(False), 0.3)
    assert dsd.select(nn.BatchNorm1d(3), 0.0, scope="global") == {}


def test_report_counts_the_live_weights(model: nn.Module) -> None:
    masks = dsd.select(model, 0.5, skip=["0", "3"])
    (row,) = dsd.mask_report(model, masks)
    assert (row.name, row.weights, row.kept, row.zeros) == ("6.weight", 4352, 2176, 0)  # selected, not yet applied
    with torch.no_grad():
        model[6].weight[0] = 0
    assert dsd.mask_report(model, masks)[0].zeros == 128
