"""The y range of a panel of curves, and a note that names what it cuts.

A line is a mapping from epoch, counted from the start of D, to a value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from benchmarks.reporting import formatting
from benchmarks.reporting.figures import canvas

Line = dict[float, float]

_FAR = 3.0
"""Outliers lie more than this many interquartile ranges from the middle half of the values."""
_FEWEST = 8
"""The quartiles of fewer values say nothing about outliers."""
_MOST = 3.0
"""The range is extended to everything unless that makes it more than this many times as large."""


def after(lines: Mapping[str, Sequence[Line]], start: float) -> list[float]:
    """Return the values from the epoch `start` on, without outliers, and the last value of every line."""
    late = [value for of in lines.values() for line in of for epoch, value in line.items() if epoch >= start]
    return [*_usual(late), *_last(lines)]


def over_control(lines: Mapping[str, Sequence[Line]]) -> list[float]:
    """Return zero, DSD's gains without outliers, its last gains, and gains of other arms up to three times as large."""
    own = {"dsd": lines.get("dsd", ())}
    held = [0.0, *_usual(_values(own)), *_last(own)]
    largest = max(map(abs, held)) or math.inf
    return [*held, *(value for value in _values(lines) if abs(value) <= 3 * largest)]


def set_limits(ax: Axes, core: Sequence[float], lines: Mapping[str, Sequence[Line]]) -> bool:
    """Set the y range to all values of `lines` (display name to lines), or to those of `core` if the rest would flatten them.

    What is cut is named in the panel. Return whether anything is.
    """
    every = [*core, *_values(lines)]
    low, high = min(core), max(core)
    if max(every) - min(every) <= _MOST * (high - low):
        low, high = min(every), max(every)
    margin = 0.1 * (high - low) or 0.5
    low, high = low - margin, high + margin
    if note := _cut(lines, low, high):
        high += 0.15 * (high - low)  # room for the note
        note = _cut(lines, low, high)
        ground = {"facecolor": "#FFFFFF", "edgecolor": "none", "alpha": 0.7, "pad": 1}
        to = ax.transAxes
        ax.text(0.995, 0.98, note, transform=to, ha="right", va="top", fontsize=7, color=canvas.QUIET, bbox=ground)
    ax.set_ylim(low, high)
    return bool(note)


def _cut(lines: Mapping[str, Sequence[Line]], low: float, high: float) -> str:
    """Return, for example, "beyond the frame: D up to 80.2; DSD down to 3.1"; empty if no value is beyond [low, high]."""
    cut = []
    for name, of in lines.items():
        values = _values({name: of})
        cut += [f"{name} up to {formatting.number(max(values), digits=1)}"] if max(values) > high else []
        cut += [f"{name} down to {formatting.number(min(values), digits=1)}"] if min(values) < low else []
    return f"beyond the frame: {'; '.join(cut)}" if cut else ""


def _usual(values: Sequence[float]) -> list[float]:
    """Return the values without outliers."""
    if len(values) < _FEWEST:
        return [*values]
    low, high = np.percentile(values, (25, 75))
    reach = _FAR * (high - low)
    return [value for value in values if low - reach <= value <= high + reach]


def _values(lines: Mapping[str, Sequence[Line]]) -> list[float]:
    return [value for of in lines.values() for line in of for value in line.values()]


def _last(lines: Mapping[str, Sequence[Line]]) -> list[float]:
    return [line[max(line)] for of in lines.values() for line in of if line]
