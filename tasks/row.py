"""A row of the results: what a domain declares of it (standard library only)."""

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
    """One line of the results: a network on a data set.

    Attributes:
        title: what a reader calls it.
        domain: the package in `tasks` whose `task` module has `build` and `embedded`.
        layout: what a folder passed as `--data` must hold.
        train_examples, test_examples: the full data set's, to recognise an incomplete one.
        sources, remarks: where the published values come from, and what no field of a recipe tells (see `tasks.notes`).
        frozen: whether a frozen network's features are what is trained on.
        options: the flags that not every row has.
        small_flags: what a command at small scale takes beside `--data`.
        version: of what alters a result and stands in no recipe: random streams, metrics, loading, training steps.
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
        """What a record says of the arithmetic. Trials share a table cell if this, recipe hash and data fingerprint agree."""
        return f"{self.domain} {self.version}"

    def recipe(
        self, scale: Scale, sparsity: float | None = None, lr_factor: float | None = None, **values: Any
    ) -> Recipe:
        """Return the recipe at `scale`, changed where something is given.

        Args:
            scale: which of the row's recipes.
            sparsity: of every sparse phase.
            lr_factor: multiplies every rate.
            values: of the row's own options, by name.

        Raises:
            ValueError: the row has no such option, or the recipe cannot have such a value.
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
