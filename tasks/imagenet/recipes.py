"""The four ImageNet recipes at three scales (standard library only).

Numbers of the paper are those of its Tables 2 to 4 (epochs, starting rates, sparsity) and Section 4. What the paper leaves
open is taken from the training it names (BVLC GoogLeNet, the VGG paper, fb.resnet.torch) or marked as an assumption.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from dsd.schedule import Constant, Phase, PolynomialDecay, Schedule, StepDecay
from tasks.imagenet.settings import Augmentation
from tasks.recipe import Metric, Recipe, Scale, Sgd, scaled

TOP1_ERROR = Metric("top1_error", "%", lower_is_better=True)


@dataclass(frozen=True)
class Network:
    """What torchvision's constructors are told.

    Attributes:
        dropout: of the classifier, then of GoogLeNet's auxiliary heads.
        auxiliary_weight: GoogLeNet's auxiliary losses are added with this weight.
        pool, width: VGG-16 pools its last feature map to pool x pool and has two hidden layers of `width`.
    """

    dropout: tuple[float, ...] = ()
    auxiliary_weight: float = 0.0
    pool: int = 7
    width: int = 4096


_CROP_224 = Augmentation(crop=224, test_resize=256, test_crop=224, resize="torch")
_FB_RESNET = dataclasses.replace(_CROP_224, jitter=0.4, lighting=0.1)
_DECAY_UNPUBLISHED = (
    "the tables give only the starting rates of S and D2; that they fall as in D, relative to length, is our assumption"
)


def _resnet(network: str) -> Recipe:
    return Recipe(
        network=network,
        skip=("conv1",),  # the first convolution is too sensitive to prune (Section 4)
        schedule=Schedule(
            (
                Phase("dense", epochs=90, lr=1e-1, decay=StepDecay(every=30)),
                Phase("sparse", epochs=45, lr=1e-2, decay=StepDecay(every=15), sparsity=0.30),
                Phase("redense", epochs=45, lr=1e-3, decay=StepDecay(every=15)),
            )
        ),
        batch_size=256,
        optimizer=Sgd(momentum=0.9, nesterov=True, weight_decay=1e-4),
        model=Network(),
        data=_FB_RESNET,
        notes=(
            "epochs, starting rates, sparsity: Table 4",
            "batch, momentum, weight decay, x0.1 every 30 epochs, crop, jitter, lighting: fb.resnet.torch",
            _DECAY_UNPUBLISHED,
        ),
    )


RESNET18 = _resnet("resnet18")
RESNET50 = _resnet("resnet50")

GOOGLENET = Recipe(
    network="googlenet",
    skip=("conv1",),
    schedule=Schedule(
        (
            Phase("dense", epochs=60, lr=1e-2, decay=PolynomialDecay(0.5)),
            Phase("sparse", epochs=11, lr=1e-3, decay=PolynomialDecay(0.5), sparsity=0.30),
            Phase("redense", epochs=22, lr=1e-4, decay=PolynomialDecay(0.5)),
        )
    ),
    batch_size=32,
    optimizer=Sgd(momentum=0.9, weight_decay=2e-4),
    model=Network(dropout=(0.4, 0.7), auxiliary_weight=0.3),
    data=_CROP_224,
    notes=(
        "epochs, starting rates, sparsity: Table 2",
        "batch, weight decay, polynomial decay 0.5, dropout 0.4 / 0.7, auxiliary weight 0.3: BVLC GoogLeNet, quick solver",
        "torchvision's GoogLeNet has batch norm where BVLC's had none",
        "augmentation: random-sized crop and flip, as torchvision trains it",
        _DECAY_UNPUBLISHED,
    ),
)

VGG16 = Recipe(
    network="vgg16",
    skip=("features.0",),
    schedule=Schedule(
        (
            Phase("dense", epochs=74, lr=1e-2, decay=StepDecay(every=18.5)),
            Phase("sparse", epochs=1.25, lr=1e-4, decay=Constant(), sparsity=0.30),
            Phase("redense", epochs=18, lr=1e-5, decay=Constant()),
        )
    ),
    batch_size=256,
    optimizer=Sgd(momentum=0.9, weight_decay=5e-4),
    model=Network(dropout=(0.5,)),
    data=_CROP_224,
    notes=(
        "epochs, starting rates, sparsity: Table 3",
        "batch, momentum, dropout: Simonyan and Zisserman; weight decay 5e-4 is theirs too, the DSD paper does not repeat it",
        "Simonyan and Zisserman lowered the rate three times within 74 epochs, when progress stopped; "
        "even spacing is our assumption",
        "rates of S and D2: taken as constant; how they fall is unpublished",
        "augmentation: random-sized crop and flip",
    ),
)


def small(recipe: Recipe, batch_size: int | None = 64, dense_epochs: float | None = 10, pixels: int = 64) -> Recipe:
    """Return the declared reduction for sets of 64-pixel pictures: every phase shorter by one factor, D being 10 epochs.

    None leaves the batch or the lengths as they are. Rates follow the batch (linear scaling, Goyal et al. 2017). Colour jitter
    and lighting are left out and crops are larger:
    with so few passes over so few pictures a network underfits before it overfits. `pixels` is the side that it sees.
    """
    published = recipe.schedule.phases[0].epochs
    dense_epochs, batch_size = dense_epochs or published, batch_size or recipe.batch_size
    factor = dense_epochs / published
    lengths = (
        "the paper's epochs"
        if factor == 1
        else f"every phase {1 / factor:.3g} times shorter (D {dense_epochs:g} epochs)"
    )
    own = batch_size == recipe.batch_size
    batches = (
        f"the batch of {batch_size} and the rates too"
        if own and factor == 1
        else f"batch {batch_size} with rates in proportion"
    )
    vgg = recipe.network == "vgg16"
    seen = "64-pixel pictures" + (f", seen at {pixels}" if pixels != 64 else "")
    return dataclasses.replace(
        recipe,
        schedule=scaled(recipe.schedule, factor, batch_size / recipe.batch_size),
        batch_size=batch_size,
        # Measured on the smoke set: plain, VGG-16 stays at chance for 176 steps at rates from 0.00125 to 0.03.
        network="vgg16_bn" if vgg else recipe.network,
        model=dataclasses.replace(recipe.model, pool=pixels // 32, dropout=(0.0,) if vgg else recipe.model.dropout),
        data=Augmentation(crop=pixels, area=(0.25, 1.0), test_resize=pixels, test_crop=pixels),
        evaluate_every=dense_epochs / 4,
        reduction=(
            f"{seen}; {lengths}; {batches}; random-sized crops of at least a quarter of the area, flips, "
            "no colour jitter or lighting"
            + (
                f"; classifier on {pixels // 32} x {pixels // 32} instead of 7 x 7 features, batch norm, He initialisation, "
                "no dropout"
                if vgg
                else ""
            )
        ),
    )


def smoke(recipe: Recipe, lr: float) -> Recipe:
    """Return the reduction for the embedded set: seconds, not a result. `lr` is D's, the others' follow in proportion."""
    batch_size = 32
    scaled_lr = recipe.schedule.phases[0].lr * batch_size / recipe.batch_size
    tiny = small(recipe, batch_size, dense_epochs=8)
    return dataclasses.replace(
        tiny,
        schedule=scaled(tiny.schedule, 1, lr / scaled_lr),
        model=dataclasses.replace(tiny.model, pool=1, width=512),
        data=Augmentation(crop=32, area=(0.5, 1.0), test_resize=36, test_crop=32),
        evaluate_every=2.0,
        reduction="generated 40-pixel pictures, 12 classes, 8 + a few epochs: shows that the row runs, not what DSD does",
    )


# VGG-16 sees a quarter of the pixels: at 64 a trial of all arms on 5,000 pictures takes over an hour of a core. ResNet-50 learns
# nothing so (measured: 93 to 96 % error of 50 classes after D, at batches of 32 and 64). GoogLeNet keeps the batch of its own
# solver, 32: at 64 it had learned little by the end of D (measured: 89.7 % error).
_SMALL = {
    "imagenet_googlenet": small(GOOGLENET, batch_size=32),
    "imagenet_vgg16": small(VGG16, pixels=32),
    "imagenet_resnet18": small(RESNET18),
    "imagenet_resnet50": small(RESNET50),
}

# With a GPU: of the paper's recipe nothing is changed but the pictures, what is done to them and, as above, VGG-16.
FULL_LENGTH = {
    f"imagenet_{recipe.network}": small(recipe, batch_size=None, dense_epochs=None)
    for recipe in (GOOGLENET, VGG16, RESNET18, RESNET50)
}

# Rates at which each network learns the smoke set within its 176 steps of D (tried by factors of 2 to 2.5).
_SMOKE_LR = {"googlenet": 0.01, "vgg16": 0.0025, "resnet18": 0.0125, "resnet50": 0.005}

RECIPES: dict[str, dict[Scale, Recipe]] = {
    f"imagenet_{recipe.network}": {
        "smoke": smoke(recipe, _SMOKE_LR[recipe.network]),
        "small": _SMALL[f"imagenet_{recipe.network}"],
        "paper": recipe,
    }
    for recipe in (GOOGLENET, VGG16, RESNET18, RESNET50)
}
