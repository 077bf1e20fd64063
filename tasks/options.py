"""Command-line flags that only some domains have: names, help and effect (standard library only).

A domain declares its own flags in its `rows.py` and lists them as `options` of its rows:

    LABEL_NOISE = Option("label_noise", float | None, "Give this share of the pictures a wrong class.", recipe=_noisy)

Then `run` and `estimate` have `--label-noise` and `Row.recipe` takes `label_noise=`. For rows of other domains the flag is an
error; the message names the rows that have it. Domains share a flag by listing the same object.
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
    """A flag of the rows that list it. A flag that changes results must change the recipe or the data fingerprint.

    Attributes:
        name: name of the field; the flag has dashes instead of underscores.
        type: annotation of the value: `float | None`, `bool`, `Literal["a", "b"]`.
        metavar: name of the value in help; by default the type.
        after: name of the flag that precedes it in help and in recorded commands. If several flags have the same `after`, the one
            declared last comes first. By default the flag comes at the end.
        recipe: returns the recipe for a value other than the default.
        custom: the scales at which such a recipe makes the record `custom`.
        opens: whether `open_data` of the domain takes the value, as a keyword argument of this name.
        scores: whether the command `evaluate` has the flag too.
        check: called with (flag, value, scale) before torch is loaded. Raises ValueError if they are invalid for every data set.
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
        """The flag as typed."""
        return flag(self.name)


def flag(name: str) -> str:
    """Return the flag of the field called `name`."""
    return "--" + name.replace("_", "-")


def with_data(recipe: Recipe, **changes: Any) -> Recipe:
    """Return `recipe` with changed fields of its data."""
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, **changes))


def require_network_file(flag: str, named: str) -> None:
    """Check that a value is a file or a torchvision weights name.

    Raises:
        ValueError: it is neither.
    """
    if "_Weights." not in named and not Path(named).is_file():
        what = "a folder, not a file" if Path(named).is_dir() else "neither a file nor a torchvision weights name"
        raise ValueError(f"{flag}: {named!r} is {what} such as ResNet18_Weights.IMAGENET1K_V1")


PROBE = Option(
    "probe",
    bool,
    "Test on examples that no trial uses (pictures set aside at small scale, utterances of dev), to choose a learning rate or "
    "length before the first trial of a row. The record is marked `custom`.",
    default=False,
    after="lr_factor",
    recipe=lambda recipe, probing: with_data(recipe, probing=probing),
)
"""For domains whose recipes have the field `probing` in `data`."""

PRECISION = Option(
    "precision",
    Literal["float32", "bfloat16"],
    "bfloat16: train classification networks under autocast; weights, optimizer and scoring stay in float32. Faster on hardware "
    "with bfloat16.",
    default="float32",
    after="device",
)
"""For domains whose networks can train under autocast (see `tasks.mixed_precision`). The harness applies and records it."""
