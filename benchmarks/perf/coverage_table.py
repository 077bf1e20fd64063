"""coverage.md from coverage.json: `python -m benchmarks.perf.coverage_table` makes it again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scipy import special

Cell = dict[str, Any]

PLANNED = 5
"""Seeds that a verdict needs at least: the target on width holds from here on."""

COVERAGE, WIDTH = 0.94, 1.3

_TEXT = """# How often the crossed interval covers, and how wide it is

    nice -n 19 python -m benchmarks.perf.coverage        # writes coverage.json and this page
    nox -s perf -- -k coverage                           # fewer replications, compared with the saved cells

The 95 % interval of `statistics/crossed.py`, simulated on trials whose true gain is known (`worlds.py`), {replications:,}
replications a cell ({date}, numpy {numpy}). A cell is one of:

- **metric**: binary (1,000 test pictures), WER and BLEU-4 (300 test examples; a ratio, and a geometric mean of four);
- **ratio** of seed to example spread: the standard deviation of a seed's true gain over the standard error that the test
  examples give one seed's gain, {ratios};
- **interaction**: the share of the examples that every seed draws afresh, {interactions}; the others differ by the seed's
  effect alone. Trained networks are near 1;
- **tails**: seed effects normal or t with 3 degrees of freedom; examples alike, or heavy-tailed (log-normal lengths and
  difficulties; for binary, arms that differ on 3 % of the pictures instead of 20 %);
- **seeds** n = {counts}.

Where examples cluster, an example here is a cluster: the jackknife leaves out whole ones.

Width is the mean over replications, in widths of the oracle: the normal interval of someone who knows the variances. The simulation
errs by {error:.2f} points of coverage in one cell, and the worst of {number} cells comes out lower than it is.

**Target**: worst cell at least {coverage:.0f} %, width at most {width}, for verdicts (n of {planned} or more): {reached}.

{summary}

## The worst cells

{worst}

With heavy-tailed seeds, or with less interaction, it covers more.

## By metric and ratio

Lowest coverage (%) and greatest width over tails and interactions.

{table}

## What cannot be had

Where the seeds make the spread, or where it is all interaction, n gains are all there is. No interval that covers 95 % whatever
the seeds' spread is narrower in all these cells than Student's t, whose mean width (its quantile times the mean of
s / sigma, over 1.96) is {limits}. So {width} and 95 % exclude each other at n = 5, for any method that looks at one
row alone; 94 % needs {at_94}, 94.5 % {at_945}. The interval therefore gives up half a point at most where the interaction is a
tenth or more of the spread between seeds (`CREDIT`), and nothing where seeds alone make it: there it is Student's t. At n = 3
no interval is near {width}, and there is no verdict below {planned} seeds. Six seeds would cover 95 % within {at_6}.

Seeds may agree more closely by chance than the examples allow. The interval is then narrower than that over examples alone,
down to half of it (`FLOOR`). Over all experiments it covers what it says. An interval that is never narrower is too wide
where all is interaction: see below.

Pooling the spread between seeds over rows or arms would give more degrees of freedom. A row's verdict would then depend on
other rows' records, and on all seeds' spreads being alike, which seven rows cannot show: not done.

## Other intervals in the same cells, n = {planned}

{others}

- *Over seeds*, Student's t, takes the examples for fixed: what all seeds get right or wrong alike, it does not see.
- *Over examples*, the jackknife of the seeds' mean (the bootstrap is like it), takes the seeds for fixed.
- *Both, added up* counts the interaction twice.
- *Satterthwaite*: the same variance, held to at least J, with one t quantile of approximate degrees of freedom. It covers
  less than it says where seeds and examples are of a size, and is wider where the interaction is all.
"""


def render(told: dict[str, Any]) -> str:
    """Return the page of what coverage.json tells."""
    cells: list[Cell] = told["cells"]
    counts, ratios, interactions = (_values(cells, name) for name in ("n", "ratio", "interaction"))
    planned = [cell for cell in cells if cell["n"] >= PLANNED]
    worst, widest = min(planned, key=_coverage), max(planned, key=_width)
    met = worst["coverage"] >= COVERAGE and widest["width"] <= WIDTH
    return _TEXT.format(
        replications=told["replications"],
        date=told["date"],
        numpy=told["numpy"],
        ratios=_listed(f"{ratio:g}" for ratio in ratios),
        interactions=_listed(f"{share:g}" for share in interactions),
        counts=_listed(map(str, counts)),
        error=100 * math.sqrt(0.95 * 0.05 / told["replications"]),
        number=len(cells),
        coverage=100 * COVERAGE,
        width=WIDTH,
        planned=PLANNED,
        reached=f"{'reached' if met else 'missed'}, with {100 * worst['coverage']:.1f} % and {widest['width']:.2f}",
        summary=_summary(cells, counts),
        worst=_worst(cells, counts),
        table=_table(cells, counts, ratios),
        limits=_listed(f"{limit(n):.2f} at n = {n}" for n in counts),
        at_94=f"{limit(5, 0.94):.2f}",
        at_945=f"{limit(5, 0.945):.2f}",
        at_6=f"{limit(6):.2f}",
        others=_others([cell for cell in cells if cell["n"] == PLANNED]),
    )


def limit(n: int, level: float = 0.95) -> float:
    """Return the mean width of the t interval over n normal gains, in widths of the normal 95 % interval with known variance."""
    mean = math.sqrt(2 / (n - 1)) * math.exp(math.lgamma(n / 2) - math.lgamma((n - 1) / 2))  # of s / sigma
    return float(special.stdtrit(n - 1, (1 + level) / 2)) * mean / float(special.ndtri(0.975))


def _summary(cells: Sequence[Cell], counts: Sequence[Any]) -> str:
    lines = []
    for n in counts:
        those = [cell for cell in cells if cell["n"] == n]
        one_sided = min(min(cell["below"], cell["above"]) for cell in those)
        mean = sum(map(_width, those)) / len(those)
        lines.append(
            f"| {n} | {100 * min(map(_coverage, those)):.1f} | {100 * sum(map(_coverage, those)) / len(those):.1f} | "
            f"{100 * one_sided:.1f} | {max(map(_width, those)):.2f} | {mean:.2f} | {limit(n):.2f} |"
        )
    head = "| n | lowest coverage, % | mean coverage, % | lowest one-sided, % | greatest width | mean width | t over seeds alone |"
    return "\n".join([head, "| --- " * 7 + "|", *lines])


def _worst(cells: Sequence[Cell], counts: Sequence[Any]) -> str:
    lines = []
    for n in counts:
        those = [cell for cell in cells if cell["n"] == n]
        for what, found in (("covers least", sorted(those, key=_coverage)[:3]), ("widest", [max(those, key=_width)])):
            lines += [
                f"| {n} | {what} | {_name(cell)} | {100 * cell['coverage']:.1f} | {cell['width']:.2f} |"
                for cell in found
            ]
    return "\n".join(["| n | | cell | coverage, % | width |", "| --- " * 5 + "|", *lines])


def _table(cells: Sequence[Cell], counts: Sequence[Any], ratios: Sequence[Any]) -> str:
    lines = []
    for metric in dict.fromkeys(cell["metric"] for cell in cells):
        for ratio in ratios:
            found = []
            for n in counts:
                those = [cell for cell in cells if (cell["metric"], cell["ratio"], cell["n"]) == (metric, ratio, n)]
                found += [f"{100 * min(map(_coverage, those)):.1f}", f"{max(map(_width, those)):.2f}"]
            lines.append(f"| {metric} | {ratio:g} | " + " | ".join(found) + " |")
    head = " | ".join(f"n = {n}: coverage | width" for n in counts)
    return "\n".join([f"| metric | ratio | {head} |", "| --- " * (2 + 2 * len(counts)) + "|", *lines])


def _others(cells: Sequence[Cell]) -> str:
    lines = [f"| crossed | {100 * min(map(_coverage, cells)):.1f} | {max(map(_width, cells)):.2f} |"]
    for name in cells[0]["others"]:
        found = [cell["others"][name] for cell in cells]
        lines.append(f"| {name} | {100 * min(one[0] for one in found):.1f} | {max(one[1] for one in found):.2f} |")
    return "\n".join(["| interval | lowest coverage, % | greatest width |", "| --- | --- | --- |", *lines])


def _name(cell: Cell) -> str:
    seeds = {"light": "normal", "heavy": "t3"}[cell["seeds"]]
    where = f"{cell['metric']}, ratio {cell['ratio']:g}, interaction {cell['interaction']:g}"
    return f"{where}, {seeds} seeds, {cell['examples']} examples"


def _coverage(cell: Cell) -> float:
    return float(cell["coverage"])


def _width(cell: Cell) -> float:
    return float(cell["width"])


def _values(cells: Sequence[Cell], name: str) -> list[Any]:
    return sorted({cell[name] for cell in cells})


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}"


if __name__ == "__main__":
    HERE = Path(__file__).parent
    page = render(json.loads((HERE / "coverage.json").read_text(encoding="utf-8")))
    (HERE / "coverage.md").write_text(page, encoding="utf-8")
