"""Make coverage.md from coverage.json: `python -m tests.trust.coverage_table`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from scipy import special

PLANNED = 5
"""The minimum number of seeds for a verdict. The target for the width applies from here on."""

COVERAGE, WIDTH = 0.94, 1.3

_TEXT = """# Coverage and width of the crossed interval

    nice -n 19 python -m tests.trust.coverage                # writes coverage.json and this page
    python -m pytest tests/trust/test_coverage.py            # fewer replications, compared with the saved cells

The simulation draws trials with a known true gain (`worlds.py`) and computes the 95 % interval of `statistics/crossed.py` for
each: {replications:,} replications per cell ({date}, numpy {numpy}). A cell is a combination of:

- **metric**: binary (1,000 test pictures), WER and BLEU-4 (300 test examples; a ratio, and a geometric mean of four);
- **ratio** of seed to example spread: the standard deviation of a seed's true gain, divided by the standard error that the test
  examples give one seed's gain: {ratios};
- **interaction**: the share of the examples that every seed draws anew: {interactions}. The other examples differ only by the
  seed's effect. Trained networks are near 1;
- **tails**: seed effects are normal or t with 3 degrees of freedom. Examples have light or heavy tails (log-normal lengths and
  difficulties; for binary, arms that differ on 3 % of the pictures instead of 20 %);
- **seeds** n = {counts}.

If examples are clustered, an example in this simulation is a cluster, because the jackknife leaves out whole clusters.

Width is the mean over replications, divided by the width of the oracle: the normal interval with known variances. The standard
error of the coverage in one cell is {error:.2f} points, so the lowest coverage of {number} cells is biased downward.

**Target** for verdicts (n of {planned} or more): coverage of at least {coverage:.0f} % in the worst cell, width at most {width}.
The target is {reached}.

{summary}

## The worst cells

{worst}

Coverage is higher with heavy-tailed seeds or less interaction.

## By metric and ratio

Lowest coverage (%) and greatest width over tails and interactions.

{table}

## Limits of any interval

If all spread comes from seeds or from the interaction, only the n gains are informative. No interval with 95 % coverage for
every spread between seeds is narrower in all these cells than Student's t. The mean width of Student's t (its quantile times the
mean of s / sigma, divided by 1.96) is {limits}. At n = 5, no method that uses only one row can have both a width of {width} and
95 % coverage: 94 % needs a width of {at_94}, 94.5 % needs {at_945}. The interval therefore gives up at most half a point of
coverage if the interaction is a tenth or more of the spread between seeds (`CREDIT`). If only seeds matter, it is Student's t.
At n = 3, no interval is near {width}, and there is no verdict below {planned} seeds. Six seeds would give 95 % coverage with a
width of {at_6}.

Seeds may agree by chance more closely than the examples allow. The interval is then narrower than the one over examples alone,
but at least half as wide (`FLOOR`). Its coverage over all experiments is still correct. An interval that is never narrower is
too wide if all spread comes from the interaction: see below.

Pooling the spread between seeds over rows or arms would give more degrees of freedom. We do not do this: a row's verdict would
depend on other rows' records, and on equal spreads in all rows, which seven rows cannot show.

## Other intervals in the same cells, n = {planned}

{others}

- *Over seeds* is Student's t. It treats the examples as fixed, so it ignores what all seeds have in common.
- *Over examples* is the jackknife of the seeds' mean, which is similar to the bootstrap. It treats the seeds as fixed.
- *Both, added up* counts the interaction twice.
- *Satterthwaite* uses the same variance, but at least J, and one t quantile with approximate degrees of freedom. Its coverage is
  too low if seeds and examples contribute equally, and it is wider if all spread comes from the interaction.
"""


def render(saved: dict[str, Any]) -> str:
    """Return the page with the cells of coverage.json."""
    cells = pd.DataFrame(saved["cells"])
    verdicts = cells[cells["n"] >= PLANNED]
    lowest, widest = verdicts["coverage"].min(), verdicts["width"].max()
    reached = "reached" if lowest >= COVERAGE and widest <= WIDTH else "missed"
    cells[["coverage", "below", "above"]] *= 100
    counts = sorted(cells["n"].unique())
    return _TEXT.format(
        replications=saved["replications"],
        date=saved["date"],
        numpy=saved["numpy"],
        ratios=_listed(f"{ratio:g}" for ratio in sorted(cells["ratio"].unique())),
        interactions=_listed(f"{share:g}" for share in sorted(cells["interaction"].unique())),
        counts=_listed(map(str, counts)),
        error=100 * math.sqrt(0.95 * 0.05 / saved["replications"]),
        number=len(cells),
        coverage=100 * COVERAGE,
        width=WIDTH,
        planned=PLANNED,
        reached=f"{reached}, with {100 * lowest:.1f} % and {widest:.2f}",
        summary=_summary(cells),
        worst=_worst(cells),
        table=_table(cells),
        limits=_listed(f"{limit(n):.2f} at n = {n}" for n in counts),
        at_94=f"{limit(5, 0.94):.2f}",
        at_945=f"{limit(5, 0.945):.2f}",
        at_6=f"{limit(6):.2f}",
        others=_others(cells[cells["n"] == PLANNED]),
    )


def limit(n: int, level: float = 0.95) -> float:
    """Return the mean width of the t interval over n normal gains, divided by that of the normal 95 % interval."""
    mean = math.sqrt(2 / (n - 1)) * math.exp(math.lgamma(n / 2) - math.lgamma((n - 1) / 2))  # of s / sigma
    return float(special.stdtrit(n - 1, (1 + level) / 2)) * mean / float(special.ndtri(0.975))


def _summary(cells: pd.DataFrame) -> str:
    by_seeds = cells.assign(one_sided=cells[["below", "above"]].min(axis=1)).groupby("n")
    columns = {
        "lowest coverage, %": by_seeds["coverage"].min(),
        "mean coverage, %": by_seeds["coverage"].mean(),
        "lowest one-sided, %": by_seeds["one_sided"].min(),
        "greatest width": by_seeds["width"].max(),
        "mean width": by_seeds["width"].mean(),
        "t over seeds alone": pd.Series({n: limit(n) for n in sorted(cells["n"].unique())}),
    }
    frame = pd.DataFrame(columns).rename_axis("n").reset_index()
    return frame.to_markdown(index=False, floatfmt=("g", ".1f", ".1f", ".1f", ".2f", ".2f", ".2f"))


def _worst(cells: pd.DataFrame) -> str:
    """Return the three cells with the lowest coverage and the widest cell, for every number of seeds."""
    rows = []
    for n, of_seeds in cells.groupby("n"):
        lowest = of_seeds.sort_values("coverage", kind="stable")[:3]
        widest = of_seeds.loc[[of_seeds["width"].idxmax()]]
        for what, chosen in (("lowest coverage", lowest), ("widest", widest)):
            rows += [(n, what, _name(cell), cell["coverage"], cell["width"]) for _, cell in chosen.iterrows()]
    frame = pd.DataFrame(rows, columns=["n", "", "cell", "coverage, %", "width"])
    return frame.to_markdown(index=False, floatfmt=("g", "", "", ".1f", ".2f"))


def _table(cells: pd.DataFrame) -> str:
    columns: dict[str, Any] = {}
    for n, of_seeds in cells.groupby("n"):
        groups = of_seeds.groupby(["metric", "ratio"], sort=False)
        columns |= {f"n = {n}: coverage": groups["coverage"].min(), f"n = {n}: width": groups["width"].max()}
    return pd.DataFrame(columns).reset_index().to_markdown(index=False, floatfmt=("", "g", *(".1f", ".2f") * 3))


def _others(cells: pd.DataFrame) -> str:
    rows = [("crossed", cells["coverage"].min(), cells["width"].max())]
    for name, figures in pd.DataFrame(cells["others"].tolist()).items():
        coverages, widths = zip(*figures, strict=True)
        rows.append((str(name), 100 * min(coverages), max(widths)))
    frame = pd.DataFrame(rows, columns=["interval", "lowest coverage, %", "greatest width"])
    return frame.to_markdown(index=False, floatfmt=("", ".1f", ".2f"))


def _name(cell: pd.Series) -> str:
    seeds = {"light": "normal", "heavy": "t3"}[cell["seeds"]]
    where = f"{cell['metric']}, ratio {cell['ratio']:g}, interaction {cell['interaction']:g}"
    return f"{where}, {seeds} seeds, {cell['examples']} examples"


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}"


if __name__ == "__main__":
    HERE = Path(__file__).parent
    page = render(json.loads((HERE / "coverage.json").read_text(encoding="utf-8")))
    (HERE / "coverage.md").write_text(page, encoding="utf-8")
