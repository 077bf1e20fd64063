"""The two speech recipes at three scales (standard library only).

Numbers of the paper are those of its Tables 7 and 9 (epochs, rates, sparsity of five phases: two iterations of DSD). What the
paper leaves open is taken from the systems it names (Hannun et al. 2014, Amodei et al. 2016) or marked as an assumption.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from dsd.schedule import Phase, Schedule
from tasks.librispeech.settings import DeepSpeech1Settings, DeepSpeech2Settings, SpecAugment
from tasks.recipe import Metric, Recipe, Scale, Sgd, scaled

WER = Metric("wer", "%", lower_is_better=True)
"""Errors of greedy transcripts for each hundred words spoken, over the whole test set."""


@dataclass(frozen=True)
class Speech:
    """How utterances are batched and heard.

    Attributes:
        sortagrad: whether the first epoch goes from the shortest utterance to the longest (Amodei et al. 2016, Section 3.3).
        jitter: how much lengths are changed before utterances of like length are put together (see `order.Order`).
        augment: runs of bins and frames hidden in training (SpecAugment), or None.
    """

    sortagrad: bool = True
    jitter: float = 0.1
    augment: SpecAugment | None = None


_OPEN = (
    "momentum 0.99 and Nesterov's rule: Hannun et al. 2014 and Amodei et al. 2016; the paper says Nesterov SGD",
    "the norm of the gradient is clipped at 400: Amodei et al. 2016; the loss is a batch's mean over utterances",
    "batch 32: assumed, the paper gives none; rates are constant within a phase: assumed, the tables give the starting ones",
    "data: LibriSpeech in place of WSJ; normalised log-power spectrograms of 20 ms windows every 10 ms",
)

DEEPSPEECH = Recipe(
    network="deepspeech",
    skip=("conv",),  # only fully connected and recurrent layers are pruned (Section 4.5)
    schedule=Schedule(
        (
            Phase("dense", epochs=50, lr=8e-4),
            Phase("sparse", epochs=50, lr=5e-4, sparsity=0.50),
            Phase("redense", epochs=50, lr=3e-4),
            Phase("sparse", epochs=50, lr=1e-4, sparsity=0.25),
            Phase("redense", epochs=50, lr=3e-5),
        )
    ),
    batch_size=32,
    optimizer=Sgd(momentum=0.99, nesterov=True, weight_decay=0.0),
    model=DeepSpeech1Settings(),
    data=Speech(),
    clip_norm=400.0,
    notes=(
        "epochs, rates, sparsity: Table 7; layers: its parameter counts",
        "windows of 11 frames every second frame, dropout 5 % of feed-forward layers, clipping at 20: Hannun et al. 2014",
        *_OPEN,
    ),
)

DEEPSPEECH2 = Recipe(
    network="deepspeech2",
    skip=("conv1", "conv2"),
    schedule=Schedule(
        (
            Phase("dense", epochs=20, lr=3e-4),
            Phase("sparse", epochs=20, lr=3e-4, sparsity=0.50),
            Phase("redense", epochs=20, lr=3e-5),
            Phase("sparse", epochs=20, lr=3e-5, sparsity=0.25),
            Phase("redense", epochs=20, lr=6e-6),
        )
    ),
    batch_size=32,
    optimizer=Sgd(momentum=0.99, nesterov=True, weight_decay=0.0),
    model=DeepSpeech2Settings(),
    data=Speech(),
    clip_norm=400.0,
    notes=("epochs, rates, sparsity: Table 9; layers: its parameter counts", *_OPEN),
)


def small(recipe: Recipe, model: DeepSpeech1Settings | DeepSpeech2Settings, dense_epochs: float) -> Recipe:
    """Return the declared reduction for an hour of speech: a narrower network, every phase shorter by one factor.

    With a batch of 16, a mean loss and momentum 0.9, a rate of 1e-2 under a clipped norm of 10 trains both networks, at widths
    from 96 to 1024; the rates of later phases follow in the paper's proportions.
    """
    dense = recipe.schedule.phases[0]
    factor, lr_factor = dense_epochs / dense.epochs, _SMALL_LR / dense.lr
    return dataclasses.replace(
        recipe,
        schedule=scaled(recipe.schedule, factor, lr_factor),
        batch_size=16,
        optimizer=Sgd(momentum=0.9, nesterov=True, weight_decay=0.0),
        clip_norm=10.0,
        model=model,
        evaluate_every=dense_epochs / 2,
        reduction=(
            f"width {model.width}"
            + (
                f", {model.layers} recurrent layers, {model.channels} channels"
                if isinstance(model, DeepSpeech2Settings)
                else ""
            )
            + f"; every phase {1 / factor:.3g} times shorter (D {dense_epochs:g} epochs); batch 16, momentum 0.9, rates "
            f"{lr_factor:.3g} times the paper's, norm clipped at 10"
        ),
    )


_SMALL_LR = 1e-2

RECIPES: dict[str, dict[Scale, Recipe]] = {
    "librispeech_deepspeech": {
        "smoke": small(DEEPSPEECH, DeepSpeech1Settings(width=128), dense_epochs=8),
        "small": small(DEEPSPEECH, DeepSpeech1Settings(width=256), dense_epochs=12),
        "paper": DEEPSPEECH,
    },
    "librispeech_deepspeech2": {
        "smoke": small(DEEPSPEECH2, DeepSpeech2Settings(width=64, layers=2, channels=4), dense_epochs=4),
        "small": small(DEEPSPEECH2, DeepSpeech2Settings(width=128, layers=3, channels=8), dense_epochs=8),
        "paper": DEEPSPEECH2,
    },
}
