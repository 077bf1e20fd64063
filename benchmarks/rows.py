"""The rows of the results: name, recipe per scale, task module (standard library only: the noxfile reads it without torch)."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from tasks import notes
from tasks.flickr8k import recipes as flickr8k
from tasks.imagenet import recipes as imagenet
from tasks.librispeech import recipes as librispeech
from tasks.recipe import Metric, Recipe, Scale, at_sparsity, scaled

SUITE = "0.2"
"""The version of the suite that writes a record. It decides nothing: see `NUMERICS`."""

NUMERICS: dict[str, int] = {"imagenet": 1, "flickr8k": 1, "librispeech": 1}
"""By domain, the version of what alters a result and stands in no recipe: random streams, metrics, loading, training steps.

Trials share a table cell if recipe hash, data fingerprint and this version agree. Raise it for the domains that a change
touches; changing one row's recipe raises none. A domain that is not here is at 1.
"""

BFLOAT16 = "bfloat16 (autocast; weights and optimizer in float32)"
"""What a record says of its precision where networks computed under autocast."""
DEFAULT_SEEDS: dict[Scale, int] = {"smoke": 1, "small": 5, "paper": 3}


@dataclass(frozen=True)
class Row:
    """One line of the results: a network on a data set.

    Attributes:
        title: what a reader calls it.
        domain: the package in `tasks` whose `task` module has `build` and `embedded`.
        layout: what a folder passed as `--data` must hold.
        train_examples, test_examples: the full data set's, to recognise an incomplete one.
        sources, remarks: where the published values come from, and what no field of a recipe tells (see `tasks.notes`).
        frozen: whether a frozen network's features are what is trained on.
    """

    name: str
    title: str
    domain: str
    dataset: str
    layout: str
    train_examples: int
    test_examples: int
    metric: Metric
    recipes: dict[Scale, Recipe]
    sources: Mapping[str, str]
    remarks: tuple[str, ...] = ()
    frozen: bool = False

    @property
    def numerics(self) -> str:
        """What a record says of the arithmetic: the domain and its version."""
        return f"{self.domain} {NUMERICS.get(self.domain, 1)}"

    def recipe(
        self,
        scale: Scale,
        sparsity: float | None = None,
        lr_factor: float | None = None,
        network: str | None = None,
        label_noise: float | None = None,
        probing: bool = False,
    ) -> Recipe:
        """Return the recipe at `scale`, changed where something is given.

        Args:
            scale: which of the row's recipes.
            sparsity: of every sparse phase.
            lr_factor: multiplies every rate.
            network: the frozen network, for a row that has one; its weights are then the user's to name.
            label_noise: the share of wrong training labels, for a row of classification.
            probing: test on the examples set aside for probes, in place of the test set.

        Raises:
            ValueError: there are no labels to be wrong, or no examples set aside.
        """
        recipe = self.recipes[scale]
        if probing:
            if not hasattr(recipe.data, "probing"):
                raise ValueError(
                    f"--probe: {self.name} has no examples for probes; judge them by the validation perplexity"
                )
            recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, probing=True))
        if network is not None and network != recipe.data.network:
            recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, network=network, weights=""))
        if label_noise is not None:
            if self.domain != "imagenet":
                raise ValueError(f"label_noise={label_noise}: {self.name} classifies nothing")
            recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, label_noise=label_noise))
        schedule = recipe.schedule
        if lr_factor is not None:
            schedule = scaled(schedule, 1, lr_factor)
        if sparsity is not None:
            schedule = at_sparsity(schedule, sparsity)
        recipe = dataclasses.replace(recipe, schedule=schedule)
        return dataclasses.replace(recipe, notes=notes.notes(recipe, self.recipes["paper"], self.sources, self.remarks))


_IMAGENET_TITLES = {
    "imagenet_googlenet": "GoogLeNet",
    "imagenet_vgg16": "VGG-16",
    "imagenet_resnet18": "ResNet-18",
    "imagenet_resnet50": "ResNet-50",
}

ROWS: dict[str, Row] = {
    name: Row(
        name=name,
        title=title,
        domain="imagenet",
        dataset="ImageNet",
        layout="train/WNID/*.JPEG and val/WNID/*.JPEG",
        train_examples=1_281_167,
        test_examples=50_000,
        metric=imagenet.TOP1_ERROR,
        recipes=imagenet.RECIPES[name],
        sources=imagenet.SOURCES[name],
        remarks=imagenet.REMARKS.get(name, ()),
    )
    for name, title in _IMAGENET_TITLES.items()
}

ROWS["flickr8k_neuraltalk"] = Row(
    name="flickr8k_neuraltalk",
    title="NeuralTalk",
    domain="flickr8k",
    dataset="Flickr8k",
    layout="Flicker8k_Dataset/*.jpg and Flickr8k_text/*.txt, or Karpathy's dataset_flickr8k.json",
    train_examples=30_000,
    test_examples=1_000,
    metric=flickr8k.BLEU4,
    recipes=flickr8k.RECIPES["flickr8k_neuraltalk"],
    sources=flickr8k.SOURCES,
    remarks=flickr8k.REMARKS,
    frozen=True,
)

ROWS |= {
    name: Row(
        name=name,
        title=title,
        domain="librispeech",
        dataset="LibriSpeech",
        layout="train*/, dev*/ and test*/SPEAKER/CHAPTER/*.flac with their .trans.txt",
        train_examples=281_241,
        test_examples=2_620 + 2_939,
        metric=librispeech.WER,
        recipes=librispeech.RECIPES[name],
        sources=librispeech.SOURCES[name],
        remarks=librispeech.REMARKS,
    )
    for name, title in {"librispeech_deepspeech": "DeepSpeech", "librispeech_deepspeech2": "DeepSpeech 2"}.items()
}


def row(name: str) -> Row:
    """Return the row called `name`.

    Raises:
        ValueError: there is none; the message suggests the nearest.
    """
    if name in ROWS:
        return ROWS[name]
    near = difflib.get_close_matches(name, ROWS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else "rows: " + ", ".join(ROWS)
    raise ValueError(f"there is no row {name!r}; {hint}")
