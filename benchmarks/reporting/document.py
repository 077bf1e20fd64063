"""The lines of the tables of one group: its arms, iterations, gains, NeuralTalk's choice, first updates, samples.

Those of sensitivity and of label noise are in `lines_beside`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from benchmarks.reporting.formatting import NONE


@dataclass(frozen=True)
class Block:
    """A table with its heading and the sentences that must not be parted from it."""

    heading: str
    text: str
    frame: pd.DataFrame


def frame(lines: Sequence[dict[str, str]]) -> pd.DataFrame:
    """Return text cells; the columns are those of the fullest line, and a cell that a line lacks holds a dash."""
    fullest = max(lines, key=len)
    columns = list(fullest)
    columns += [name for name in dict.fromkeys(name for line in lines for name in line) if name not in columns]
    return pd.DataFrame([[line.get(name, NONE) for name in columns] for line in lines], columns=columns, dtype=str)


Line = dict[str, str]
