"""The captioning recipe at three scales (standard library only).

The DSD paper's numbers are those of its Table 5. NeuralTalk's numbers are the defaults of driver.py in karpathy/neuraltalk and the
behaviour of solver.py, lstm_generator.py and data_provider.py.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from dsd.schedule import Phase, PolynomialDecay, Schedule
from tasks.recipe import Metric, Recipe, RmsProp, Scale, scaled

BLEU4 = Metric("bleu4", "%", lower_is_better=False)
"""Corpus BLEU-4 without brevity penalty, as in NeuralTalk's script. The paper's figures agree with this definition."""


@dataclass(frozen=True)
class Network:
    """NeuralTalk's sizes.

    Attributes:
        size: length of the encodings of pictures and words, and of the hidden vector.
        dropout: dropout rate of the inputs and outputs of the LSTM.
        initial: initial weights are uniform in [-initial, initial].
    """

    size: int = 256
    dropout: float = 0.5
    initial: float = 0.1


@dataclass(frozen=True)
class Captioning:
    """Features, vocabulary and decoding.

    Attributes:
        network: torchvision's name of the frozen network, or "pixels" for the picture averaged to a grid.
        weights: torchvision's name of its weights; "" if the user must give a file.
        resize, crop: short side and centre crop of the network's input in pixels; without `resize`, the whole picture is warped
            to crop x crop. "pixels" ignores them.
        standardise: whether features are standardised to mean 0 and variance 1 over the training pictures.
        minimum_count: words that occur less often in the training captions are dropped.
        max_words: maximum length of a decoded caption.
        beam: beam width of the primary metric; 1 is greedy.
        beside: a second beam width, whose metrics are also reported.
    """

    network: str = "vgg16"
    weights: str = "VGG16_Weights.IMAGENET1K_V1"
    resize: int | None = None
    crop: int = 224
    standardise: bool = False
    minimum_count: int = 5
    max_words: int = 20
    beam: int = 1
    beside: int = 20


_LINEAR = PolynomialDecay(1.0)

NEURALTALK = Recipe(
    network="neuraltalk",
    skip=("words",),  # "every language-side matrix but the word embedding" (Section 4.4)
    schedule=Schedule(
        (
            Phase("dense", epochs=19, lr=1e-3, decay=_LINEAR),
            Phase("sparse", epochs=10, lr=1e-4, decay=_LINEAR, sparsity=0.80),
            Phase("redense", epochs=6, lr=1e-5, decay=_LINEAR),
        )
    ),
    batch_size=100,
    optimizer=RmsProp(alpha=0.999, eps=1e-4, weight_decay=1e-10, clip_value=5.0),
    model=Network(),
    data=Captioning(),
)

SMALL = dataclasses.replace(
    NEURALTALK,
    data=Captioning(network="squeezenet1_0", weights="", resize=224, crop=224, standardise=True),
    reduction=(
        "SqueezeNet features; the full protocol, but on features of another frozen network than the paper's (VGG-16, fc7), "
        "standardised, since their scale is the network's own and too large for the LSTM"
    ),
)

SMOKE = dataclasses.replace(
    NEURALTALK,
    schedule=scaled(NEURALTALK.schedule, 1, 2.0),
    batch_size=50,
    # With dropout, the network confuses the colours of the objects.
    model=Network(size=128, dropout=0.0),
    data=Captioning(network="pixels", weights="", standardise=True),
    evaluate_every=5.0,
    reduction=(
        "generated pictures and captions, 12 x 12 pixels as features, half the width, no dropout, batch 50 with rates doubled: "
        "shows that the row runs, not what DSD does"
    ),
)

RECIPES: dict[str, dict[Scale, Recipe]] = {
    "flickr8k_neuraltalk": {"smoke": SMOKE, "small": SMALL, "paper": NEURALTALK},
}

_TABLE, _DEFAULT = "the DSD paper, Table 5", "defaults of karpathy/neuraltalk"
SOURCES: dict[str, str] = {
    "epochs": _TABLE,
    "sparsity": _TABLE,
    "rate": "a tenth of the rates in the DSD paper's Table 5, hence in its ratio: D's is NeuralTalk's default, and the table's "
    "1e-2 trains far worse (measured by validation perplexity on standardised SqueezeNet features: tasks/flickr8k/README.md)",
    "decay": "assumed: the paper gives starting rates only, and NeuralTalk keeps its rate",
    "not pruned": "every language-side matrix is pruned but the word embedding (the DSD paper, Section 4.4)",
    **dict.fromkeys(
        ("batch", "size", "dropout", "initial", "alpha", "clip value", "minimum count", "max words", "beam"), _DEFAULT
    ),
    "epsilon": "NeuralTalk adds 1e-8 under the root, torch adds eps to the root; both leave 1e-4 where the mean square vanishes",
    "weight decay": "NeuralTalk adds 1e-8 times the weights to the gradient summed over 100 captions, then divides by 100; "
    "ours also touches biases and is as negligible",
    "crop": "whole pictures are warped by bicubic interpolation, as matlab_features_reference/prepare_images_batch.m of "
    "karpathy/neuraltalk does",
    "weights": "VGG-16's weights are torchvision's own and RGB is normalised as these want it, where NeuralTalk takes the original "
    "Caffe weights and subtracts a mean BGR pixel",
}
"""Sources of the published values, by the first words of a field's name (see `tasks.notes`)."""

REMARKS: tuple[str, ...] = ()
