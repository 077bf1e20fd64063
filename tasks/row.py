"""A row of the results, as its domain declares it (standard library only)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks import notes
from tasks.options import Option
from tasks.recipe import Metric, Recipe, Scale, at_sparsity, scaled


@dataclass(frozen=True)
class Row:
    """A row of the results: a network on a data set.

    Attributes:
        title: name of the network in tables.
        domain: the package in `tasks` that defines network, data and recipe.
        layout: the files that a folder passed as `--data` must hold.
        train_examples, test_examples: sizes of the full data set, to recognise an incomplete one.
        sources, remarks: sources of the published values, and sentences for the notes (see `tasks.notes`).
        frozen: whether the network is trained on the features of a frozen network.
        options: the flags of this row that other rows may lack.
        small_flags: flags that a command at small scale needs in addition to `--data`.
        version: increased with every change that alters results but no recipe, such as a change of random streams, metrics, loading
            or training steps.
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
    options: tuple[Option, ...] = ()
    small_flags: str = ""
    version: int = 1

    @property
    def numerics(self) -> str:
        """Domain and version. Trials share a table cell if these, the recipe hash and the data fingerprint are equal."""
        return f"{self.domain} {self.version}"

    def recipe(
        self, scale: Scale, sparsity: float | None = None, lr_factor: float | None = None, **values: Any
    ) -> Recipe:
        """Return the recipe at `scale` with the given changes.

        Args:
            scale: selects the recipe.
            sparsity: replaces the sparsity of every sparse phase.
            lr_factor: multiplies every learning rate.
            values: values of the row's options, by name.

        Raises:
            ValueError: the row has no such option, or the recipe does not allow the value.
        """
        recipe = self.recipes[scale]
        for option in self.options:
            value = values.pop(option.name, option.default)
            if option.recipe is not None and value != option.default:
                recipe = option.recipe(recipe, value)
        if values:
            raise ValueError(f"{self.name} has no option {', '.join(values)}")
        schedule = recipe.schedule
        if lr_factor is not None:
            schedule = scaled(schedule, 1, lr_factor)
        if sparsity is not None:
            schedule = at_sparsity(schedule, sparsity)
        recipe = dataclasses.replace(recipe, schedule=schedule)
        return dataclasses.replace(recipe, notes=notes.notes(recipe, self.recipes["paper"], self.sources, self.remarks))
