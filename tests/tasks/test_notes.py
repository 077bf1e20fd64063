"""The notes of a recipe follow from its fields: a reduced recipe states no value that it does not have."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.rows import ROWS
from dsd.schedule import Constant, Decay, MultiStepDecay, PolynomialDecay, StepDecay
from tasks import notes
from tasks.recipe import SCALES, Scale, Sgd


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("scale", SCALES)
def test_every_changed_field_stands_beside_the_published_value_and_no_other_value_is_claimed(
    name: str, scale: Scale
) -> None:
    row = ROWS[name]
    recipe, published = row.recipe(scale), row.recipes["paper"]
    mine, theirs = notes.fields(recipe), notes.fields(published)
    told = [line for line in recipe.notes if line.startswith("not as published: ")]
    changed = {field for field in {*mine, *theirs} if mine.get(field, "none") != theirs.get(field, "none")}
    assert len(told) == bool(changed)
    for field in changed:
        assert f"{field} {mine.get(field, 'none')} (published: {theirs.get(field, 'none')})" in told[0]
    rest = [line for line in recipe.notes if line not in told]
    for field in changed:
        assert not any(f"{field} {theirs.get(field)}" in line.split(": ")[0].split("; ") for line in rest)
    assert bool(changed) == (scale != "paper")


@pytest.mark.parametrize("name", ROWS)
def test_every_number_of_the_published_recipe_has_a_source(name: str) -> None:
    row = ROWS[name]
    sourced = " ".join(row.recipe("paper").notes)
    for field, value in notes.fields(row.recipes["paper"]).items():
        numbers = ("epochs", "rate", "decay", "sparsity", "batch", "momentum", "weight decay", "not pruned")
        if field.startswith(numbers) and value not in ("none", "0"):
            assert f"{field} {value}" in sourced, field


def test_an_override_on_the_command_line_is_told() -> None:
    row = ROWS["imagenet_resnet18"]
    (told,) = [line for line in row.recipe("paper", sparsity=0.5, lr_factor=0.1).notes if line.startswith("not as")]
    assert "rate of D 0.01 (published: 0.1)" in told
    assert "sparsity of S 50 % (published: 30 %)" in told


def test_what_reduced_recipes_used_to_print_of_the_published_one_is_gone() -> None:
    speech = ROWS["librispeech_deepspeech"].recipe("small")
    assert isinstance(speech.optimizer, Sgd)
    assert speech.optimizer.momentum != 0.99
    assert not any(line.startswith("momentum 0.99") or "clipped at 400" in line for line in speech.notes)
    assert f"momentum {speech.optimizer.momentum:g} (published: 0.99)" in " ".join(speech.notes)
    small = ROWS["imagenet_resnet18"].recipe("small")
    assert not any("jitter" in line and "fb.resnet" in line for line in small.notes)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Constant(), "none"),
        (StepDecay(2.5, 1 / 1.2), "times 0.8333 every 2.5 epochs"),
        (MultiStepDecay((37, 148 / 3)), "times 0.1 after 37, 49.33 epochs"),
        (PolynomialDecay(), "to zero, polynomial of power 0.5"),
    ],
)
def test_every_decay_has_words(rule: Decay, words: str) -> None:
    assert notes.decay(rule) == words


def test_a_field_of_the_recipe_is_never_hidden_by_one_of_its_parts() -> None:
    recipe = ROWS["flickr8k_neuraltalk"].recipe("small")
    found = notes.fields(recipe)
    assert (found["network"], found["data network"]) == ("neuraltalk", "squeezenet1_0")
    parts = [recipe.optimizer, recipe.model, recipe.data]
    assert len(found) >= sum(len(dataclasses.fields(part)) for part in parts)
