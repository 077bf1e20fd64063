"""The rows of the results, as declared by the domains. Uses only the standard library, because the noxfile imports it."""

from __future__ import annotations

import difflib
import importlib

from tasks.options import Option
from tasks.recipe import Scale
from tasks.row import Row

SUITE = "0.2"
"""The suite version, stored in records for information only; see `Row.version`."""

BFLOAT16 = "bfloat16 (autocast; weights and optimizer in float32)"
"""The `precision` that a record states when networks computed under autocast."""
DEFAULT_SEEDS: dict[Scale, int] = {"smoke": 1, "small": 5, "paper": 3}

DOMAINS = (
    "imagenet",
    "flickr8k",
    "librispeech",
)
"""The packages in `tasks` whose `rows` module declares rows, in display order."""

ROWS: dict[str, Row] = {
    row.name: row for domain in DOMAINS for row in importlib.import_module(f"tasks.{domain}.rows").ROWS
}
OPTIONS: tuple[Option, ...] = tuple(dict.fromkeys(option for row in ROWS.values() for option in row.options))
"""The flags that only some rows have."""
assert len({option.name for option in OPTIONS}) == len(OPTIONS), "two flags have the same name"


def row(name: str) -> Row:
    """Return the row called `name`.

    Raises:
        ValueError: there is no such row; the message suggests the nearest name.
    """
    if name in ROWS:
        return ROWS[name]
    near = difflib.get_close_matches(name, ROWS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else "rows: " + ", ".join(ROWS)
    raise ValueError(f"there is no row {name!r}; {hint}")
