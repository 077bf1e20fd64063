"""DistributedDataParallel on two gloo processes with different data."""

import pytest
import torch

from tests.dsd.processes import run_two

pytestmark = pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="gloo was not built in")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    return run_two("ddp_worker.py", tmp_path_factory.mktemp("ddp"))


def equal(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_all_ranks_get_the_masks_of_rank_0(ranks: list[dict]) -> None:
    assert not equal(ranks[0]["alone"], ranks[1]["alone"])
    assert equal(ranks[0]["drawn"]["layer"], ranks[0]["alone"])
    for drawn in ("layer", "global", "random"):
        assert equal(ranks[0]["drawn"][drawn], ranks[1]["drawn"][drawn])
        assert sum(int(mask.sum()) for mask in ranks[1]["drawn"][drawn].values()) == 160


@pytest.mark.parametrize("buckets", ["plain", "bucket_view", "static"])
def test_training_stays_masked_and_in_step(buckets: str, ranks: list[dict], positive_zero) -> None:
    first, second = (rank["train"][buckets] for rank in ranks)
    assert equal(first["masks"], second["masks"])
    assert list(first["masks"]) == ["0.weight", "2.weight"]
    assert equal(first["sparse"], second["sparse"])
    assert equal(first["dense"], second["dense"])
    for name, kept in first["masks"].items():
        assert positive_zero(first["sparse"][name][~kept])
        assert (first["sparse"][name][kept] != 0).all()
        assert (first["dense"][name] != 0).all()


@pytest.mark.parametrize("buckets", ["plain", "bucket_view", "static"])
def test_clipping_sees_the_norm_of_the_averaged_masked_gradient(buckets: str, ranks: list[dict]) -> None:
    for rank in ranks:
        assert rank["train"][buckets]["norms"] == pytest.approx(rank["train"][buckets]["expected"], rel=1e-5)
    assert ranks[0]["train"][buckets]["norms"] == ranks[1]["train"][buckets]["norms"]
