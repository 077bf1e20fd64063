"""The two speech recipes at three scales (standard library only).

Epochs, learning rates and sparsity of the five phases (two iterations of DSD) are those of the paper's Tables 7 and 9. Values that
the paper does not give come from the systems that it names (Hannun et al. 2014, Amodei et al. 2016) or are marked as assumptions.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from dsd.schedule import Phase, Schedule, StepDecay
from tasks.librispeech.settings import DeepSpeech1Settings, DeepSpeech2Settings, SpecAugment
from tasks.recipe import LATER, Metric, Recipe, Scale, Sgd, scaled

WER = Metric("wer", "%", lower_is_better=True)
"""Word error rate of greedy transcripts over the whole test set."""


@dataclass(frozen=True)
class Speech:
    """Batches and augmentation.

    Attributes:
        sortagrad: whether the first epoch goes from the shortest utterance to the longest (Amodei et al. 2016, Section 3.3).
        jitter: width of the random change of lengths before utterances of similar length are batched (see `sampler.Order`).
        augment: SpecAugment in training, or None.
        probing: whether this is a probe. Its test set is the utterances of dev, which no trial uses.
    """

    sortagrad: bool = True
    jitter: float = 0.1
    augment: SpecAugment | None = None
    probing: bool = field(default=False, metadata={LATER: True})


# The learning rate is divided by 1.2 after every epoch (Amodei et al. 2016, who train for 20 epochs). Hannun et al. 2014 also use a
# constant factor per epoch but do not give it. So DeepSpeech's phases of 50 epochs end at the same share of their initial rate.
_EVERY_EPOCH = StepDecay(every=1, factor_each=1 / 1.2)
_OVER_50 = StepDecay(every=2.5, factor_each=1 / 1.2)

DEEPSPEECH = Recipe(
    network="deepspeech",
    skip=("conv",),  # only fully connected and recurrent layers are pruned (Section 4.5)
    schedule=Schedule(
        (
            Phase("dense", epochs=50, lr=8e-4, decay=_OVER_50),
            Phase("sparse", epochs=50, lr=5e-4, decay=_OVER_50, sparsity=0.50),
            Phase("redense", epochs=50, lr=3e-4, decay=_OVER_50),
            Phase("sparse", epochs=50, lr=1e-4, decay=_OVER_50, sparsity=0.25),
            Phase("redense", epochs=50, lr=3e-5, decay=_OVER_50),
        )
    ),
    batch_size=32,
    optimizer=Sgd(momentum=0.99, nesterov=True, weight_decay=0.0),
    model=DeepSpeech1Settings(),
    data=Speech(),
    clip_norm=400.0,
)

DEEPSPEECH2 = Recipe(
    network="deepspeech2",
    skip=("conv1", "conv2"),
    schedule=Schedule(
        (
            Phase("dense", epochs=20, lr=3e-4, decay=_EVERY_EPOCH),
            Phase("sparse", epochs=20, lr=3e-4, decay=_EVERY_EPOCH, sparsity=0.50),
            Phase("redense", epochs=20, lr=3e-5, decay=_EVERY_EPOCH),
            Phase("sparse", epochs=20, lr=3e-5, decay=_EVERY_EPOCH, sparsity=0.25),
            Phase("redense", epochs=20, lr=6e-6, decay=_EVERY_EPOCH),
        )
    ),
    batch_size=32,
    optimizer=Sgd(momentum=0.99, nesterov=True, weight_decay=0.0),
    model=DeepSpeech2Settings(),
    data=Speech(),
    clip_norm=400.0,
)


def small(
    recipe: Recipe,
    model: DeepSpeech1Settings | DeepSpeech2Settings,
    lr: float,
    momentum: float,
    clip_norm: float,
    dense_epochs: float | None = None,
    longer: tuple[float, float] | None = None,
) -> Recipe:
    """Return the recipe for an hour of speech: a narrower network, batch 16, and suitable learning rates.

    Args:
        recipe: the published recipe; its epochs, decay, sparsity and ratios of rates are kept.
        model: sizes of the narrower network.
        lr: initial rate of D; the rates of later phases keep the paper's proportions.
        momentum: replaces the published one.
        clip_norm: replaces the published one.
        dense_epochs: length of D; all phases and their decay are shortened in proportion. None keeps the paper's.
        longer: epochs of D, and epochs between divisions of D's rate by 1.2. Other phases keep theirs. None treats D like them.
    """
    dense = recipe.schedule.phases[0]
    length = dense.epochs if dense_epochs is None else dense_epochs
    factor, lr_factor = length / dense.epochs, lr / dense.lr
    layers = (
        f", {model.layers} recurrent layers, {model.channels} channels"
        if isinstance(model, DeepSpeech2Settings)
        else ""
    )
    phases = scaled(recipe.schedule, factor, lr_factor).phases
    lengths = f"every phase {1 / factor:.3g} times shorter (D {length:g} epochs); " if dense_epochs else ""
    if longer is not None:
        epochs, every = longer
        settled = dataclasses.replace(phases[0], epochs=epochs, decay=StepDecay(every, 1 / 1.2))
        phases = (settled, *phases[1:])
        lengths = (
            f"D {epochs / length:g} times as long ({epochs:g} epochs), its rate divided by 1.2 every {every:g} epochs; "
        )
    return dataclasses.replace(
        recipe,
        schedule=Schedule(phases),
        batch_size=16,
        optimizer=Sgd(momentum=momentum, nesterov=True, weight_decay=0.0),
        clip_norm=clip_norm,
        model=model,
        evaluate_every=length / (2 if dense_epochs else 4),  # the gate needs the score at three quarters of D
        reduction=(
            f"width {model.width}{layers}; {lengths}batch 16, rates {lr_factor:.3g} times the paper's, momentum {momentum:g}, "
            f"norm clipped at {clip_norm:g}"
        ),
    )


# Learning rates and lengths are chosen by probes on dev, from D only (README.md, Probes). An epoch has only 97 steps, so D does not
# converge in the paper's number of epochs: it takes twice as many. DeepSpeech has no batch norm, and the norm of its gradient is
# about 40 to 70 while it learns fast, so a bound of 10 clips nearly every step. The norm does not count pruned gradients, so the
# steps of unpruned weights are longer in S. Records hold the ratio for each phase.
RECIPES: dict[str, dict[Scale, Recipe]] = {
    "librispeech_deepspeech": {
        "smoke": small(DEEPSPEECH, DeepSpeech1Settings(width=128), 1e-2, momentum=0.9, clip_norm=10, dense_epochs=8),
        "small": small(DEEPSPEECH, DeepSpeech1Settings(width=256), 5e-3, momentum=0.9, clip_norm=10, longer=(100, 3)),
        "paper": DEEPSPEECH,
    },
    "librispeech_deepspeech2": {
        "smoke": small(DEEPSPEECH2, DeepSpeech2Settings(64, 2, 4), 1e-2, momentum=0.9, clip_norm=10, dense_epochs=4),
        "small": small(DEEPSPEECH2, DeepSpeech2Settings(128, 3, 8), 1e-2, momentum=0.9, clip_norm=10, longer=(40, 1.5)),
        "paper": DEEPSPEECH2,
    },
}

_AMODEI = "Amodei et al. 2016"
_OPEN = {
    "momentum": "Hannun et al. 2014 and Amodei et al. 2016",
    "Nesterov": "the DSD paper says Nesterov SGD",
    "bound of the gradient's norm": f"{_AMODEI}; the loss is a batch's mean over utterances",
    "batch": "assumed, the paper gives none",
    "not pruned": "only fully connected and recurrent layers are pruned (the DSD paper, Section 4.5)",
    "sortagrad": f"{_AMODEI}, Section 3.3",
}
_TABLES = {
    name: dict.fromkeys(("epochs", "rate", "sparsity"), f"the DSD paper, Table {number}")
    | {"width": f"the parameter counts in the DSD paper's Table {number - 1}"}
    for name, number in (("librispeech_deepspeech", 7), ("librispeech_deepspeech2", 9))
}
SOURCES: dict[str, dict[str, str]] = {
    "librispeech_deepspeech": _OPEN
    | _TABLES["librispeech_deepspeech"]
    | {
        "decay": "Hannun et al. 2014 anneal by a constant factor each epoch; the whole fall is here that of Amodei et al. 2016"
    }
    | dict.fromkeys(("dropout", "context", "stride", "clip"), "Hannun et al. 2014"),
    "librispeech_deepspeech2": _OPEN
    | _TABLES["librispeech_deepspeech2"]
    | {"decay": f"{_AMODEI}: by 1.2 after each epoch"},
}
"""Sources of the published values, by the first words of a field's name (see `tasks.notes`)."""

REMARKS: tuple[str, ...] = (
    "data: speech in LibriSpeech's layout in place of WSJ; normalised log-power spectrograms of 20 ms windows every 10 ms",
)
