"""FSDP2 (`fully_shard`) on two gloo processes gives the results of one model, with even, uneven and empty shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import dsd
from dsd.sharding import local, sharded, total, whole
from tests.dsd.processes import run_two

RUNS = [f"{size}, {make}" for size in ("even", "uneven", "empty shard") for make in ("SGD", "Adam", "RMSprop")]
run = pytest.mark.parametrize("run", RUNS)
pytestmark = [
    pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="gloo was not built in"),
    pytest.mark.skipif(not hasattr(torch.cpu.Stream, "record_event"), reason="FSDP2 of torch 2.6 runs on no CPU"),
]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return run_two("fsdp_worker.py", tmp_path_factory.mktemp("fsdp"))


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@run
def test_masks_are_those_of_the_unsharded_model(run: str, ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        shards, plain = rank[run]
        for drawn in ("masks", "random", "before", "after"):
            assert equal(shards[drawn], plain[drawn])
        assert shards["kept"] == plain["kept"]
        assert [weights - kept for weights, kept, _ in shards["kept"]] == [zeros for _, _, zeros in shards["kept"]]
        packed = [{name: entry["bits"] for name, entry in one["packed"].items()} for one in (shards, plain)]
        assert equal(*packed)
        assert not equal(shards["before"], shards["after"])


@run
def test_pruned_weights_are_held_and_clipping_sees_the_same_norm(run: str, ranks: list[dict[str, Any]]) -> None:
    for rank in ranks:
        shards, plain = rank[run]
        assert shards["zeros"] == plain["zeros"] == [True] * 4
        assert len(shards["norms"]) == 9
        assert shards["norms"] == pytest.approx(plain["norms"], rel=1e-5)


@run
def test_weights_are_the_same_after_all_phases_a_resume_and_a_move(run: str, ranks: list[dict[str, Any]]) -> None:
    assert equal(ranks[0][run][0]["weights"], ranks[1][run][0]["weights"])
    shards, plain = ranks[0][run]
    for name, weight in plain["weights"].items():
        torch.testing.assert_close(shards["weights"][name], weight, rtol=1e-4, atol=2e-6)
    assert equal(shards["applied"], plain["applied"])


def test_a_run_resumed_after_any_step_equals_one_that_was_never_stopped(tmp_path: Path) -> None:
    for rank in run_two("fsdp_resume_worker.py", tmp_path):
        assert len(rank) == 6
        for how, found in rank.items():
            assert len(found["ends"]) == 8
            assert len(found["plain"]) > 4
            for end in found["ends"]:
                assert len(end) == len(found["plain"]), how
                assert all(torch.equal(a, b) for a, b in zip(end, found["plain"], strict=True)), how


def test_plain_tensors_are_left_as_they_are() -> None:
    plain = torch.ones(3)
    assert not sharded(plain)
    assert local(plain) is plain
    assert whole(plain) is plain
    assert total(plain, plain) is plain
    assert dsd.pack({}) == {}
