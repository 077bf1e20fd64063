from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from benchmarks.learner import Learner, make_optimizer
from tasks.flickr8k import bleu, task, tiny
from tasks.flickr8k.models import NeuralTalk
from tasks.flickr8k.recipes import RECIPES, Network
from tasks.flickr8k.task import FlickrTask, Source
from tasks.recipe import Recipe, RmsProp
from tasks.task import Frozen

CPU = torch.device("cpu")
RECIPE = RECIPES["flickr8k_neuraltalk"]["smoke"]


def quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "set"
    tiny.generate(root, train=60, dev=8, test=10)
    return root


@pytest.fixture(scope="module")
def source(root: Path) -> Source:
    return task.open_data(RECIPE, root, 1.0, quiet)


def build(source: Source, seed: int = 0, recipe: Recipe = RECIPE) -> FlickrTask:
    return task.build(dataclasses.replace(recipe, model=Network(size=16), batch_size=20), source, seed, CPU, None)


def test_the_report_counts_captions_pictures_and_words_and_tells_of_the_features(source: Source) -> None:
    counts = source.report.counts
    assert (counts["train"], counts["val"], counts["test"], counts["train pictures"]) == (300, 8, 10, 60)
    assert counts["words"] == len(source.vocabulary.words) > 20
    assert source.report.synthetic
    assert source.report.features.startswith("pixels")


def test_features_are_standardised_over_the_training_pictures(source: Source) -> None:
    train = source.features["train"]
    assert train.shape == (60, 432)
    torch.testing.assert_close(train.mean(0), torch.zeros(432), atol=1e-5, rtol=0)
    spread = train.std(0)
    assert ((spread - 1).abs() < 1e-4).float().mean() > 0.5  # but for corners that never change
    assert not torch.equal(source.features["test"].mean(0), torch.zeros(432))


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
    assert shown["perplexity"] == pytest.approx(math.exp(by_hand / len(batch.targets)), rel=1e-5)


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
    # A captioner that knows nothing takes every word for equally likely.
    assert one.evaluate(model, False).metrics["val_perplexity"] == pytest.approx(len(source.vocabulary.words), rel=1e-5)


def test_no_phase_but_the_first_begins_with_a_leap(source: Source) -> None:
    """RMSprop of decay 0.999 whose state is made anew moves 1 / sqrt(0.001) = 32 learning rates in its first step."""
    one = build(source, recipe=dataclasses.replace(RECIPE, optimizer=RmsProp(alpha=0.999, eps=1e-12, clip_value=5.0)))
    model = one.model()
    learner = Learner("dsd", one, one.recipe.schedule, model, make_optimizer(one.recipe, model))
    for step, batch in enumerate(one.batches(0, learner.steps)):
        learner.train_step(batch, step)
    learner.finish()
    dense, sparse, redense = learner.first_step_in_lr
    assert dense > 20  # NeuralTalk's own first step, which all arms share
    assert sparse < 2  # 0.8 after some 2,000 steps; D has 285 here
    assert redense < 2


def test_gradients_are_clipped_element_by_element(source: Source) -> None:
    recipe = dataclasses.replace(RECIPE, optimizer=RmsProp(alpha=0.0, eps=0.0, clip_value=1e-3))
    one = build(source, recipe=recipe)
    model = one.model()
    learner = Learner("dense", one, one.recipe.schedule, model, make_optimizer(one.recipe, model))
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
    found = task.open_data(recipe, root, 1.0, quiet, frozen=Frozen("squeezenet1_1", str(path)))
    assert found.features["test"].shape == (10, 512)
    assert "squeezenet1_1" in found.report.features
    assert found.report.fingerprint != source.report.fingerprint
    with pytest.raises(ValueError, match="squeezenet1_0 needs weights: pass --weights FILE"):
        task.open_data(recipe, root, 1.0, quiet)


def test_fewer_captions_than_a_batch_are_refused(source: Source) -> None:
    with pytest.raises(ValueError, match="300 training captions are fewer than one batch of 301"):
        task.build(dataclasses.replace(RECIPE, batch_size=301), source, 0, CPU, None)


def test_weights_depend_on_the_seed_alone(source: Source) -> None:
    one, same, other = build(source).model(), build(source).model(), build(source, seed=1).model()
    assert isinstance(one, NeuralTalk)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.lstm.weight, other.lstm.weight)
    assert one.decoder.bias.detach().tolist() == pytest.approx(source.vocabulary.log_frequencies())
