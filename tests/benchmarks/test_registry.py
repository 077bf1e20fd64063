from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import rows
from benchmarks.arms import registry
from benchmarks.arms.registry import arm_plan
from tasks.recipe import SCALES, scaled

BLOCK_TORCH = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "numpy", "PIL", "scipy", "pandas", "pydantic", "rich", "tyro"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Block())
"""


def test_the_registry_imports_with_the_standard_library_alone() -> None:
    code = BLOCK_TORCH + "from benchmarks.rows import ROWS; print(len(ROWS))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(rows.ROWS) >= 4


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("imagenet_resnet81", "imagenet_resnet18"), ("resnet50", "imagenet_resnet50"), ("imagenet_vgg", "imagenet_vgg16")],
)
def test_a_misspelt_row_suggests_the_right_one(typed: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
        rows.row(typed)


def test_the_paper_recipes_are_the_published_ones() -> None:
    # Tables 2 to 4: epochs and starting rates of D, S, D2; sparsity.
    published = {
        "imagenet_googlenet": ((60, 11, 22), (1e-2, 1e-3, 1e-4)),
        "imagenet_vgg16": ((74, 1.25, 18), (1e-2, 1e-4, 1e-5)),
        "imagenet_resnet18": ((90, 45, 45), (1e-1, 1e-2, 1e-3)),
        "imagenet_resnet50": ((90, 45, 45), (1e-1, 1e-2, 1e-3)),
        # Table 5, with a tenth of its learning rates: 1e-2 in D trains far worse (tasks/flickr8k/README.md).
        "flickr8k_neuraltalk": ((19, 10, 6), (1e-3, 1e-4, 1e-5)),
        # Tables 7 and 9: two iterations.
        "librispeech_deepspeech": ((50,) * 5, (8e-4, 5e-4, 3e-4, 1e-4, 3e-5)),
        "librispeech_deepspeech2": ((20,) * 5, (3e-4, 3e-4, 3e-5, 3e-5, 6e-6)),
    }
    sparsity = {"imagenet": [0, 0.3, 0], "flickr8k": [0, 0.8, 0], "librispeech": [0, 0.5, 0, 0.25, 0]}
    for name, (epochs, rates) in published.items():
        phases = rows.row(name).recipe("paper").schedule.phases
        assert tuple(phase.epochs for phase in phases) == epochs
        assert tuple(phase.lr for phase in phases) == rates
        assert [phase.sparsity for phase in phases] == sparsity[name.split("_")[0]]


@pytest.mark.parametrize("name", rows.ROWS)
def test_the_reductions_keep_the_papers_proportions(name: str) -> None:
    row = rows.row(name)
    paper = row.recipe("paper").schedule.phases
    for scale in ("smoke", "small"):
        phases = row.recipe(scale).schedule.phases
        for reduced, whole in zip(phases, paper, strict=True):
            if (name, scale, reduced.kind) != ("imagenet_vgg16", "small", "sparse"):
                # GoogLeNet and the speech rows have a longer D at small scale. Their later phases keep the paper's epochs.
                dense = phases[-1].epochs * paper[0].epochs / paper[-1].epochs
                if scale != "small" or not (name.startswith("librispeech") or name == "imagenet_googlenet"):
                    assert dense == pytest.approx(phases[0].epochs)
                if reduced is not phases[0]:
                    assert reduced.epochs / dense == pytest.approx(whole.epochs / paper[0].epochs)
            assert reduced.lr / phases[0].lr == pytest.approx(whole.lr / paper[0].lr)
            assert reduced.sparsity == whole.sparsity
        assert row.recipe(scale).reduction


@pytest.mark.parametrize("name", rows.ROWS)
@pytest.mark.parametrize("scale", SCALES)
def test_all_arms_take_the_same_steps_and_end_their_phases_where_the_recipe_does(name: str, scale: str) -> None:
    recipe = rows.row(name).recipe(scale)  # type: ignore[arg-type]
    arms = [arm for arm in registry.ARMS if not registry.ARMS[arm].refusal(recipe)]
    ends = {arm: arm_plan(recipe, arm, 78).schedule.boundaries(78) for arm in arms}
    control = ends["control"]
    assert {of[-1] for of in ends.values()} == {control[-1]}
    assert len(ends.pop("dsd-twice")) == 2 * len(control)
    assert set(control) <= set(acdc := ends.pop("acdc"))
    assert len(acdc) == 4 * len(control)
    assert set(ends.values()) == {control}


def test_hashes_tell_recipes_apart_and_ignore_prose() -> None:
    hashes = {row.recipe(scale).hash() for row in rows.ROWS.values() for scale in SCALES}
    assert len(hashes) == len(SCALES) * len(rows.ROWS)
    row = rows.row("imagenet_resnet18")
    assert row.recipe("small", 0.5).hash() != row.recipe("small").hash() == row.recipe("small", 0.3).hash()
    assert (
        row.recipe("small", lr_factor=0.1).hash()
        != row.recipe("small").hash()
        == row.recipe("small", lr_factor=1).hash()
    )


def test_a_shorter_schedule_keeps_the_shares_at_which_its_rates_fall() -> None:
    phases = rows.row("imagenet_vgg16").recipe("small").schedule
    for whole, half in zip(phases, scaled(phases, 0.5, 1.0), strict=True):
        assert half.epochs == whole.epochs / 2
        for share in (0, 0.49, 0.51, 0.66, 0.67, 0.83, 0.84, 0.99):
            factor = whole.decay.factor(share * whole.epochs, whole.epochs)
            assert half.decay.factor(share * half.epochs, half.epochs) == factor
            assert factor == pytest.approx(0.1 ** sum(share >= drop for drop in (1 / 2, 2 / 3, 5 / 6)))


def test_a_factor_multiplies_every_rate() -> None:
    row = rows.row("flickr8k_neuraltalk")
    for given, own in zip(row.recipe("paper", lr_factor=10).schedule, row.recipe("paper").schedule, strict=True):
        assert given.lr == pytest.approx(10 * own.lr)
        assert (given.epochs, given.sparsity) == (own.epochs, own.sparsity)


def test_another_frozen_network_is_another_recipe_that_says_so() -> None:
    row = rows.row("flickr8k_neuraltalk")
    own, other = row.recipe("paper"), row.recipe("paper", network="squeezenet1_0")
    assert other.hash() != own.hash() == row.recipe("paper", network="vgg16").hash()
    assert other.as_dict()["data"] == own.as_dict()["data"] | {"network": "squeezenet1_0", "weights": ""}
    assert row.recipe("small", network="resnet18").hash() != row.recipe("small").hash()


@pytest.mark.parametrize("name", ["imagenet_googlenet", "imagenet_vgg16", "imagenet_resnet18", "imagenet_resnet50"])
def test_small_scale_keeps_the_papers_epochs_and_reduces_width_and_pixels(name: str) -> None:
    small, paper = rows.row(name).recipe("small"), rows.row(name).recipe("paper")
    for ours, theirs in zip(small.schedule, paper.schedule, strict=True):
        assert (ours.kind, ours.sparsity) == (theirs.kind, theirs.sparsity)
        # Too short on so few pictures: see tasks/imagenet/README.md.
        longer = {("imagenet_vgg16", "sparse"): 18, ("imagenet_googlenet", "dense"): 120}
        assert ours.epochs == longer.get((name, ours.kind), theirs.epochs)
        assert ours.lr * paper.batch_size == pytest.approx(theirs.lr * small.batch_size)
    assert small.model.width_factor < 1 == paper.model.width_factor
    assert small.data.crop < paper.data.crop


@pytest.mark.parametrize("name", rows.ROWS)
@pytest.mark.parametrize("scale", SCALES)
def test_the_rate_falls_within_every_phase(name: str, scale: str) -> None:
    for phase in rows.row(name).recipe(scale).schedule:  # type: ignore[arg-type]
        assert phase.decay.factor(phase.epochs * 0.999, phase.epochs) < 0.5


def test_probes_are_another_recipe_that_says_so_and_need_pictures_of_their_own() -> None:
    row = rows.row("imagenet_resnet18")
    assert row.recipe("small", probe=True).hash() != row.recipe("small").hash()
    assert "probing yes (published: no)" in " ".join(row.recipe("small", probe=True).notes)
    with pytest.raises(ValueError, match="no pictures are set aside for probes"):
        row.recipe("paper", probe=True)
    speech = rows.row("librispeech_deepspeech")
    assert speech.recipe("small", probe=True).data.probing
    with pytest.raises(ValueError, match="flickr8k_neuraltalk has no option probe"):
        rows.row("flickr8k_neuraltalk").recipe("small", probe=True)


def test_label_noise_is_another_recipe_and_none_is_the_rows_own() -> None:
    row = rows.row("imagenet_resnet18")
    noisy = row.recipe("small", label_noise=0.2)
    assert noisy.as_dict()["data"]["label_noise"] == 0.2
    assert noisy.hash() != row.recipe("small").hash() == row.recipe("small", label_noise=0.0).hash()
    assert "label_noise" not in row.recipe("small").as_dict()["data"]
    with pytest.raises(ValueError, match="flickr8k_neuraltalk has no option label_noise"):
        rows.row("flickr8k_neuraltalk").recipe("small", label_noise=0.2)
