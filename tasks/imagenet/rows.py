"""The ImageNet rows and their flags (standard library only)."""

from __future__ import annotations

from tasks.imagenet.recipes import RECIPES, REMARKS, SOURCES, TOP1_ERROR
from tasks.options import PRECISION, PROBE, Option, with_data
from tasks.row import Row

NUMERICS = 1
"""Increase it with every change that alters results but no recipe (see `Row.version`)."""

LABEL_NOISE = Option(
    "label_noise",
    float | None,
    "Give this share of the training pictures a wrong class. The record says `custom` too.",
    metavar="X",
    after="lr_factor",
    recipe=lambda recipe, share: with_data(recipe, label_noise=share),
)

ROWS = tuple(
    Row(
        name=name,
        title=title,
        domain="imagenet",
        dataset="ImageNet",
        layout="train/WNID/*.JPEG and val/WNID/*.JPEG",
        train_examples=1_281_167,
        test_examples=50_000,
        metric=TOP1_ERROR,
        recipes=RECIPES[name],
        sources=SOURCES[name],
        remarks=REMARKS.get(name, ()),
        options=(PRECISION, LABEL_NOISE, PROBE),
        version=NUMERICS,
    )
    for name, title in {
        "imagenet_googlenet": "GoogLeNet",
        "imagenet_vgg16": "VGG-16",
        "imagenet_resnet18": "ResNet-18",
        "imagenet_resnet50": "ResNet-50",
    }.items()
)
