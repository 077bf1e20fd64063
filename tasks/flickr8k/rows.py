"""The captioning row and its flags (standard library only)."""

from __future__ import annotations

from tasks.flickr8k.recipes import BLEU4, RECIPES, REMARKS, SOURCES
from tasks.options import Option, require_network_file, with_data
from tasks.recipe import Recipe, Scale
from tasks.row import Row

NUMERICS = 1
"""Increase it with every change that alters results but no recipe (see `Row.version`)."""


def _another(recipe: Recipe, network: str) -> Recipe:
    """Return the recipe with another frozen network; the user gives its weights."""
    return recipe if network == recipe.data.network else with_data(recipe, network=network, weights="")


def _needs_real_data(flag: str, named: str, scale: Scale) -> None:
    if scale == "smoke":
        raise ValueError("--weights and --network have no use at smoke scale; add --scale small --data DIR")


def _needs_a_file(flag: str, named: str, scale: Scale) -> None:
    _needs_real_data(flag, named, scale)
    require_network_file(flag, named)


WEIGHTS = Option(
    "weights",
    str | None,
    "Weights of the frozen network that computes features: a file or a torchvision weights name.",
    metavar="FILE|NAME",
    after="subset",
    opens=True,
    scores=True,
    check=_needs_a_file,
)
NETWORK = Option(
    "network",
    str | None,
    "Frozen network, by torchvision's name, such as squeezenet1_0. Default: the recipe's.",
    metavar="NAME",
    after="weights",
    recipe=_another,
    custom=("paper",),  # at small scale the user chooses the network: a different recipe, but not a custom one
    opens=True,
    scores=True,
    check=_needs_real_data,
)

ROWS = tuple(
    Row(
        name=name,
        title=title,
        domain="flickr8k",
        dataset="Flickr8k",
        layout="Flicker8k_Dataset/*.jpg and Flickr8k_text/*.txt, or Karpathy's dataset_flickr8k.json",
        train_examples=30_000,
        test_examples=1_000,
        metric=BLEU4,
        recipes=RECIPES[name],
        sources=SOURCES,
        remarks=REMARKS,
        frozen=True,
        options=(WEIGHTS, NETWORK),
        small_flags="--network NAME --weights FILE",
        version=NUMERICS,
    )
    for name, title in {
        "flickr8k_neuraltalk": "NeuralTalk",
    }.items()
)
