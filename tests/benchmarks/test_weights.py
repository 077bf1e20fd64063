from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import dsd
from benchmarks.analysis import mask_lineage
from benchmarks.analysis.groups import group_records
from benchmarks.analysis.mask_lineage import ALL
from benchmarks.records.schema import MOMENTS, Record, Regrown
from benchmarks.reporting.figures import files, weights
from benchmarks.training.weight_log import WeightLog
from dsd.schedule import Phase, Schedule
from tests.benchmarks import toy
from tests.benchmarks.test_trial import run
from tests.golden import build

TWICE = dataclasses.replace(
    toy.RECIPE,
    schedule=Schedule(
        (*toy.RECIPE.schedule.phases, Phase("sparse", 1, 0.02, sparsity=0.25), Phase("redense", 1, 0.01))
    ),
)


@pytest.fixture(scope="module")
def seen(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Record, list[dict[str, Tensor]], list[dict[str, Tensor]]]:
    """A trial of two iterations, its masks in the order drawn, and weights at the ends of D and of every phase of dsd."""
    masks: list[dict[str, Tensor]] = []
    weights: list[dict[str, Tensor]] = []
    patch = pytest.MonkeyPatch()
    pruned, ended, before = WeightLog.after_pruning, WeightLog.end, WeightLog.before_pruning

    def copies(model: nn.Module) -> dict[str, Tensor]:
        return {name: one.detach().clone() for name, one in model.named_parameters()}

    def after_pruning(self: WeightLog, model: nn.Module, found: dict[str, Tensor]) -> None:
        if self.active:
            masks.append({name: one.clone() for name, one in found.items()})
        pruned(self, model, found)

    def before_pruning(self: WeightLog, model: nn.Module, skip: tuple[str, ...]) -> None:
        if self.active and not weights:
            weights.append(copies(model))
        before(self, model, skip)

    def end(self: WeightLog, model: nn.Module, kind: str) -> list[Regrown] | None:
        if self.active and weights:
            weights.append(copies(model))
        return ended(self, model, kind)

    patch.setattr(WeightLog, "after_pruning", after_pruning)
    patch.setattr(WeightLog, "before_pruning", before_pruning)
    patch.setattr(WeightLog, "end", end)
    record, _ = run(toy.ToyTask(TWICE), tmp_path_factory.mktemp("twice"), arms=("dsd", "random"))
    patch.undo()
    return record, masks, weights


def test_histograms_are_those_of_the_largest_pruned_tensor_at_five_points(
    seen: tuple[Record, list[dict[str, Tensor]], list[dict[str, Tensor]]],
) -> None:
    record, masks, weights = seen
    told = record.arms["dsd"].histograms
    assert told is not None
    dense, after_s, after_d2 = (one["4.weight"] for one in weights[:3])
    assert (told.layer, told.weights) == ("4.weight", 128)  # 0.weight, with 160, is skipped
    assert told.limit == pytest.approx(4 * float(dense.double().std(correction=0)))
    stages = (dense, dense * masks[0]["4.weight"], after_s, after_s, after_d2)
    assert [point.moment for point in told.points] == list(MOMENTS)
    for point, weight in zip(told.points, stages, strict=True):
        free = weight[weight != 0].double().numpy()
        assert point.counts == np.histogram(free, 64, (-told.limit, told.limit))[0].tolist()
        assert (point.below, point.above) == ((free < -told.limit).sum(), (free > told.limit).sum())
    assert [point.zeros for point in told.points] == [0, 64, 64, 64, 0]


def test_each_bin_holds_its_lower_edge_and_what_lies_outside_is_counted() -> None:
    model = nn.Linear(4, 2, bias=False)
    weight = torch.tensor([[-4.0, -4.1, 4.0, 0.0], [3.99, 0.125, -0.125, 0.1]])
    with torch.no_grad():
        model.weight.copy_(weight)
    log = WeightLog(active=True)
    log.before_pruning(model, ())
    assert log.histograms is not None
    scale = log.histograms.limit / 4
    with torch.no_grad():  # scale the values above, which are in standard deviations
        model.weight.mul_(scale)
    log.after_pruning(model, {"weight": torch.ones(2, 4, dtype=torch.bool)})
    point = log.histograms.points[1]
    assert (point.below, point.above, point.zeros, sum(point.counts)) == (1, 1, 1, 5)
    assert {index: count for index, count in enumerate(point.counts) if count} == {0: 1, 31: 1, 32: 1, 33: 1, 63: 1}


def test_lineage_is_what_the_masks_and_weights_give(
    seen: tuple[Record, list[dict[str, Tensor]], list[dict[str, Tensor]]],
) -> None:
    record, masks, weights = seen
    first, redense, second, last = record.arms["dsd"].phases
    assert first.mask is not None
    assert second.mask is not None
    assert [layer.again for layer in first.mask] == [None, None]
    again = {name: int((~masks[0][name] & ~masks[1][name]).sum()) for name in masks[0]}
    assert {layer.name: layer.again for layer in second.mask} == again
    assert 16 < again["4.weight"] <= 32  # of 128 weights S pruned 64, then 32: by chance 16 of them would be the same
    for phase, mask, start, end in (
        (redense, masks[0], weights[0], weights[2]),
        (last, masks[1], weights[2], weights[4]),
    ):
        assert phase.regrown is not None
        for one in phase.regrown:
            kept = mask[one.name]
            sizes = end[one.name].abs()
            threshold = start[one.name].abs()[kept].min()
            assert one.threshold == float(threshold) >= float(start[one.name].abs()[~kept].max())
            assert one.weights == int((~kept).sum())
            assert one.below == int((sizes[~kept] < threshold).sum())
            assert one.magnitude == pytest.approx(float(sizes[~kept].double().mean()))
            assert one.survivors == pytest.approx(float(sizes[kept].double().mean()))
    assert first.regrown is second.regrown is None


def test_random_masks_and_dense_arms_tell_of_no_weights(
    seen: tuple[Record, list[dict[str, Tensor]], list[dict[str, Tensor]]], tmp_path: Path
) -> None:
    control = run(toy.ToyTask(), tmp_path, arms=("control",))[0].arms["control"]
    for arm in (seen[0].arms["random"], control):
        assert arm.histograms is None
        assert [phase.regrown for phase in arm.phases] == [None] * len(arm.phases)
        assert {layer.again for phase in arm.phases for layer in phase.mask or ()} <= {None}


def test_tensors_without_regrown_weights_or_without_survivors_are_left_out() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    masks = {"0.weight": torch.ones(2, 2), "1.weight": torch.zeros(2, 2), "2.weight": torch.eye(2)}
    log = WeightLog(active=True)
    log.after_pruning(model, {name: mask.bool() for name, mask in masks.items()})
    log.after_release(model, {name: mask.bool() for name, mask in masks.items()})
    found = log.end(model, "redense")
    assert found is not None
    assert [one.name for one in found] == ["2.weight"]


def test_the_masks_between_two_sparse_phases_take_a_bit_a_weight() -> None:
    model = nn.Linear(64, 32, bias=False)
    log = WeightLog(active=True)
    masks = dsd.select(model, 0.5)
    log.after_pruning(model, masks)
    log.after_release(model, masks)
    tensors = [entry["bits"] for entry in log.state()["last"].values()]
    assert [(one.dtype, one.numel()) for one in tensors] == [(torch.uint8, 64 * 32 // 8)]


def test_percentages_over_all_tensors_weigh_each_weight_alike() -> None:
    first, second = mask_lineage.iterations(build.utterances()[0])
    assert first.again == first.most == {}
    assert first.chance == {"recurrent.weight": 50, "fc.weight": 50, ALL: 50}
    assert second.again == {"recurrent.weight": 40, "fc.weight": 30, ALL: pytest.approx(100 * 110 / 300)}
    assert second.chance[ALL] == 25
    assert second.most[ALL] == 50
    assert second.below == {"recurrent.weight": 90, "fc.weight": 90, ALL: 90}
    assert second.size[ALL] == pytest.approx(0.2)
    assert mask_lineage.iterations(build.record()) == []


def test_the_histograms_of_the_lowest_seed_that_has_all_five_points_are_drawn() -> None:
    found = build.utterances()
    short = found[0].arms["dsd"].histograms
    assert short is not None
    dsd_arm = (
        found[0].arms["dsd"].model_copy(update={"histograms": short.model_copy(update={"points": short.points[:3]})})
    )
    found[0] = found[0].model_copy(update={"arms": found[0].arms | {"dsd": dsd_arm}})
    (group,) = group_records(found)
    chosen = mask_lineage.of_weights(group)
    assert chosen is not None
    assert chosen.seed == 1


def test_records_that_tell_of_no_weights_have_no_such_picture(tmp_path: Path) -> None:
    assert [path.name for path in files.write(tmp_path, build.trio())] == ["imagenet_resnet18-small-curves.png"]
    with pytest.raises(ValueError, match=r"weights\.png: no record of imagenet_resnet18 has histograms"):
        weights.draw(group_records(build.trio())[0], tmp_path / "weights.png")
