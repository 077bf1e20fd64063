from __future__ import annotations

import copy
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.io import savemat
from torchvision import models

from benchmarks.arms.arm import ArmPlan
from benchmarks.training.learner import Learner, make_optimizer
from tasks.flickr8k import bleu, synthetic, task
from tasks.flickr8k.models import NeuralTalk
from tasks.flickr8k.recipes import RECIPES, Network
from tasks.flickr8k.task import FlickrTask, Source
from tasks.recipe import Recipe, RmsProp

CPU = torch.device("cpu")
RECIPE = RECIPES["flickr8k_neuraltalk"]["smoke"]


def quiet(what: str, done: int, total: int) -> None:
    """A progress callback that does nothing."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "set"
    synthetic.generate(root, train=60, dev=8, test=10)
    return root


@pytest.fixture(scope="module")
def source(root: Path) -> Source:
    return task.open_data(RECIPE, root, 1.0, quiet)


def build(source: Source, seed: int = 0, recipe: Recipe = RECIPE) -> FlickrTask:
    return task.build(dataclasses.replace(recipe, model=Network(size=16), batch_size=20), source, seed, CPU, None)


def test_the_report_counts_captions_pictures_and_words_and_tells_of_the_features(root: Path, source: Source) -> None:
    counts = source.report.counts
    words = len(source.vocabulary.words)
    assert counts == {
        "train": 300,
        "test": 10,
        "train pictures": 60,
        "val pictures": 8,
        "val captions": 40,
        "words": words,
    }
    assert words > 20
    assert source.report.synthetic
    files = task.verify(RECIPE, root, 1.0, quiet).fingerprint
    assert source.report.features == f"pixels: mean colours on a 12 x 12 grid, 432 features; files {files}"
    assert source.report.fingerprint != files


def test_features_are_standardised_over_the_training_pictures(root: Path, source: Source) -> None:
    plain = dataclasses.replace(RECIPE, data=dataclasses.replace(RECIPE.data, standardise=False))
    raw = task.open_data(plain, root, 1.0, quiet).features
    mean, deviation = raw["train"].mean(0), raw["train"].std(0)
    assert (deviation > 1e-3).all()
    assert raw["train"].shape == (60, 432)
    for split in ("train", "val", "test"):
        torch.testing.assert_close(source.features[split] * deviation + mean, raw[split], rtol=1e-4, atol=1e-5)
    assert (raw["test"].mean(0) - mean).abs().max() > 0.01  # otherwise the mean of the test pictures would pass too


def test_the_loss_is_the_likelihood_of_a_whole_caption_and_an_epoch_has_as_many_as_there_are(source: Source) -> None:
    one = build(source)
    assert one.steps_per_epoch() == 300 // 20
    (batch,) = one.batches(3, 4)
    model = one.model().eval()
    loss, shown = one.loss(model, batch)
    by_hand = 0.0
    start = model.start(batch.features)
    rows = torch.tensor([0, *batch.sizes[1:]]).cumsum(0)
    state = start
    for begin, end in zip(rows[:-1].tolist(), rows[1:].tolist(), strict=True):
        n = end - begin
        scores, state = model.step(batch.words[begin:end], (state[0][:n], state[1][:n]))
        by_hand -= float(scores.detach().gather(1, batch.targets[begin:end, None]).sum())
    assert float(loss.detach()) == pytest.approx(by_hand / 20, rel=1e-5)
    assert float(shown["perplexity"]) == pytest.approx(math.exp(by_hand / len(batch.targets)), rel=1e-5)


def test_batches_depend_on_the_seed_and_the_step_alone(source: Source) -> None:
    one = build(source)
    late = list(one.batches(2, 4))
    assert [batch.words.tolist() for batch in one.batches(0, 4)][2:] == [batch.words.tolist() for batch in late]
    assert next(build(source, seed=1).batches(2, 3)).words.tolist() != late[0].words.tolist()
    ids = one.batch_ids(2)
    assert len(ids) == 20
    assert all(name.split("#")[0] in {p.name for p in source.pictures["train"]} for name in ids)


def test_the_scores_are_those_of_the_captions(source: Source) -> None:
    one = build(source)
    model = one.model()
    found = one.evaluate(model, thorough=True)
    assert found.outcomes.shape == (10, 8)
    assert [sample["picture"] for sample in found.samples] == [picture.name for picture in source.pictures["test"]]
    references = [[list(caption) for caption in picture.captions] for picture in source.pictures["test"]]
    by_name = {sample["picture"]: sample["caption"].split() for sample in found.samples}
    hypotheses = [by_name[picture.name] for picture in source.pictures["test"]]
    expected = bleu.score(references, hypotheses)
    assert tuple(found.metrics[f"bleu{n}"] for n in (1, 2, 3, 4)) == expected.neuraltalk
    assert tuple(found.metrics[f"bleu{n}_standard"] for n in (1, 2, 3, 4)) == expected.standard
    assert found.metrics["brevity_penalty"] == expected.brevity_penalty
    assert found.metrics["caption_words"] == pytest.approx(sum(map(len, hypotheses)) / 10)
    assert {name for name in found.metrics if name.startswith("beam20_")} == {
        f"beam20_{name}" for name in found.metrics if not name.startswith(("beam", "val"))
    }
    brief = one.evaluate(model, thorough=False)
    assert brief.metrics == {n: v for n, v in found.metrics.items() if not n.startswith("beam")}


def test_the_validation_perplexity_is_that_of_all_captions_with_their_ends(source: Source) -> None:
    one = build(source)
    model = one.model().eval()
    with torch.no_grad():
        model.decoder.weight.zero_()
        model.decoder.bias.zero_()
    # With an output layer of zeros, all words are equally likely.
    assert one.evaluate(model, False).metrics["val_perplexity"] == pytest.approx(len(source.vocabulary.words), rel=1e-5)


def test_no_phase_but_the_first_begins_with_a_leap(source: Source) -> None:
    one = build(source)

    def learner() -> Learner:
        model = one.model()
        return Learner(ArmPlan("dsd", one.recipe.schedule), one, model, make_optimizer(one.recipe, model))

    dsd, naive = learner(), []
    for step, batch in enumerate(one.batches(0, dsd.steps)):
        if step in dsd.ends:  # the same step with a new optimizer
            other = learner()
            other.restore(copy.deepcopy(dsd.state()))
            other.optimizer.state.clear()
            other.train_step(batch, step)
            other.finish()
            naive.append(other.journal.first_step_in_lr[-1])
        dsd.train_step(batch, step)
    dsd.finish()
    dense, sparse, redense = dsd.journal.first_step_in_lr
    assert dense > 3  # NeuralTalk's first step, which all arms share
    assert min(naive) > 10
    # A mean square that starts at zero is too low for about 2,000 steps. Here S starts after 285 steps and D2 after 435, so first
    # steps are larger by this factor. The batch changes them by up to a quarter, which differs between machines.
    rule = one.recipe.optimizer
    assert isinstance(rule, RmsProp)
    low = [math.sqrt(1 - rule.alpha**end) for end in dsd.ends[:2]]
    assert sparse < 1.25 / low[0]
    assert redense < 1.25 / low[1]


def test_gradients_are_clipped_element_by_element(source: Source) -> None:
    recipe = dataclasses.replace(RECIPE, optimizer=RmsProp(alpha=0.0, eps=0.0, clip_value=1e-3))
    one = build(source, recipe=recipe)
    model = one.model()
    learner = Learner(ArmPlan("dense", one.recipe.schedule), one, model, make_optimizer(one.recipe, model))
    learner.train_step(next(one.batches(0, 1)), 0)
    largest = max(float(p.grad.abs().max()) for p in model.parameters() if p.grad is not None)
    assert largest == pytest.approx(1e-3)


def test_a_named_network_takes_the_place_of_the_recipes_and_changes_the_fingerprint(
    root: Path, source: Source, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    path = tmp_path / "net.safetensors"
    save_file({k: v.contiguous() for k, v in models.squeezenet1_1(num_classes=5).state_dict().items()}, path)
    small = dataclasses.replace(RECIPES["flickr8k_neuraltalk"]["small"].data, resize=40, crop=40)
    recipe = dataclasses.replace(RECIPE, data=small)
    found = task.open_data(recipe, root, 1.0, quiet, network="squeezenet1_1", weights=str(path))
    assert found.features["test"].shape == (10, 512)
    assert "squeezenet1_1" in found.report.features
    assert found.report.fingerprint != source.report.fingerprint
    assert "; files " in found.report.features
    with pytest.raises(
        ValueError, match=r"squeezenet1_0 needs weights: pass --weights FILE .* SqueezeNet1_0_Weights\."
    ):
        task.open_data(recipe, root, 1.0, quiet)
    with pytest.raises(ValueError, match=r"resnet18 needs weights: .* ResNet18_Weights\.IMAGENET1K_V1; --network NAME"):
        task.open_data(recipe, root, 1.0, quiet, network="resnet18")
    with pytest.raises(
        ValueError,
        match=r"network='sqeezenet1_0' is not a supported torchvision classifier; did you mean squeezenet1_0",
    ):
        task.open_data(recipe, root, 1.0, quiet, network="sqeezenet1_0")


def test_karpathys_matrix_takes_the_place_of_vgg16_and_is_mentioned_where_it_could(tmp_path: Path) -> None:
    splits = [*["train"] * 5, "val", "test"]
    images = [
        {"filename": f"{i}.jpg", "split": split, "imgid": 6 - i, "sentences": [{"tokens": ["a", "dog"]}]}
        for i, split in enumerate(splits)
    ]
    (tmp_path / "dataset.json").write_text(json.dumps({"images": images}))
    values = np.arange(7.0) + np.zeros((4096, 1))
    savemat(tmp_path / "vgg_feats.mat", {"feats": values})
    found = task.open_data(RECIPES["flickr8k_neuraltalk"]["paper"], tmp_path, 1.0, quiet)
    assert found.features["train"][:, 0].tolist() == [6, 5, 4, 3, 2]
    assert found.features["test"].shape == (1, 4096)
    files = task.verify(RECIPE, tmp_path, 1.0, quiet).fingerprint
    assert found.report.features.startswith("vgg_feats.mat (4096 features, SHA-256 ")
    assert found.report.features.endswith(f"; files {files}")
    with pytest.raises(ValueError, match=r"--network vgg16 would use vgg_feats\.mat, which is there"):
        task.open_data(RECIPES["flickr8k_neuraltalk"]["small"], tmp_path, 1.0, quiet)


def test_fewer_captions_than_a_batch_are_refused(source: Source) -> None:
    with pytest.raises(ValueError, match="300 training captions are fewer than one batch of 301"):
        task.build(dataclasses.replace(RECIPE, batch_size=301), source, 0, CPU, None)


def test_weights_depend_on_the_seed_alone(source: Source) -> None:
    one, same, other = build(source).model(), build(source).model(), build(source, seed=1).model()
    assert isinstance(one, NeuralTalk)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.lstm.weight, other.lstm.weight)
    assert one.decoder.bias.detach().tolist() == pytest.approx(source.vocabulary.log_frequencies())
