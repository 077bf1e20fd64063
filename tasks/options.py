"""Flags that only some domains have: names, help and effect, as data (standard library only).

A domain declares its own in its `rows.py` and lists them as `options` of its rows:

    LABEL_NOISE = Option("label_noise", float | None, "Give this share of the pictures a wrong class.", recipe=_noisy)

That is all: `run` and `estimate` then have `--label-noise`, `Row.recipe` takes `label_noise=`, and the rows of other domains
refuse the flag in one line that names the rows that have it. Several domains share a flag by listing the same object.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks.recipe import SCALES, Recipe, Scale


@dataclass(frozen=True)
class Option:
    """A flag of the rows that list it. Whatever changes a result must change the recipe or the data's fingerprint.

    Attributes:
        name: of the field; the flag has dashes.
        type: of its value, as an annotation says it: `float | None`, `bool`, `Literal["a", "b"]`.
        metavar: what help calls the value; by default the type.
        after: the flag that it follows in help and in recorded commands, the last declared first; by default it comes last.
        recipe: returns a recipe for a value that is not the default.
        custom: the scales at which a recipe that it changed makes the record `custom`.
        opens: whether the domain's `open_data` is told the value, by name.
        scores: whether `evaluate` has the flag too.
        check: raises ValueError for (flag, value, scale) that no data could make right; asked before torch is loaded.
    """

    name: str
    type: Any
    help: str
    default: Any = None
    metavar: str | None = None
    after: str = ""
    recipe: Callable[[Recipe, Any], Recipe] | None = None
    custom: tuple[Scale, ...] = SCALES
    opens: bool = False
    scores: bool = False
    check: Callable[[str, Any, Scale], None] | None = None

    @property
    def flag(self) -> str:
        """The word on the command line."""
        return flag(self.name)


def flag(name: str) -> str:
    """Return the flag of the field called `name`."""
    return "--" + name.replace("_", "-")


def with_data(recipe: Recipe, **changes: Any) -> Recipe:
    """Return `recipe` with changed fields of its data."""
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, **changes))


def require_network_file(flag: str, named: str) -> None:
    """Refuse what is neither a file nor a torchvision weights name.

    Raises:
        ValueError: it is neither.
    """
    if "_Weights." not in named and not Path(named).is_file():
        what = "a folder, not a file" if Path(named).is_dir() else "neither a file nor a torchvision weights name"
        raise ValueError(f"{flag}: {named!r} is {what} such as ResNet18_Weights.IMAGENET1K_V1")


PROBE = Option(
    "probe",
    bool,
    "Test on examples that no trial trains or is tested on (pictures set aside at small scale, utterances of dev), to choose a "
    "rate or a length before a row's first trial. The record says `custom` too.",
    default=False,
    after="lr_factor",
    recipe=lambda recipe, probing: with_data(recipe, probing=probing),
)
"""Of domains whose recipes have `probing` in their data."""

PRECISION = Option(
    "precision",
    Literal["float32", "bfloat16"],
    "bfloat16: networks of classification compute in it under autocast, weights, optimizer and scoring staying float32: faster "
    "where the hardware has it.",
    default="float32",
    after="device",
)
"""Of domains whose networks train under autocast (see `tasks.mixed_precision`). The harness acts on it and records it."""
