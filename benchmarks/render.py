"""Text from groups: table frames and the Markdown around them. Pure functions; nothing here reads or writes a file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd

from benchmarks import metrics, paper, summary
from benchmarks.crossed import Crossed
from benchmarks.group import Group, Section
from benchmarks.record import Record
from benchmarks.statistics import Paired
from benchmarks.summary import DENSE, Cell

SELECTION = "Selection rule: last epoch, never best on test."
RULE = (
    f"{SELECTION} A gain is positive where DSD is better. The primary figure, fixed beforehand, is the gain of DSD over the "
    "control of equal budget, paired by seed. Its 95 % interval covers seeds and test examples. Only the planned rows get a "
    "verdict, and only with all of their planned seeds and a gate that holds. *Claim*: is the paper's gain, as a share of the "
    "control's metric, reached, not excluded, excluded, or even half of it excluded (one-sided 5 %). *Direction*: DSD better, "
    "worse, or no difference shown (two-sided 5 %, Holm-adjusted over the seven planned rows)."
)
SUPERSEDED = "Superseded: suite 0.1, not in the regime of the claim"
HEADINGS: dict[Section, str] = {
    "paper": "Paper scale: the published recipe",
    "regime": "The planned rows: smaller networks, less data",
    "custom": "Custom recipes: overridden on the command line, compared with nothing",
    "small": SUPERSEDED,
    "smoke": "SYNTHETIC data and smoke tests: they show that a row runs, and nothing about DSD",
}
INTRODUCTIONS: dict[Section, str] = {
    "paper": "The paper's own figures stand beside ours. Not of the plan, hence no verdict.",
    "regime": "A verdict speaks of DSD on this data and at this size, beside the paper's claim as a share of the control's metric.",
    "custom": "No verdict is given.",
    "small": "Superseded: pruned before the networks had converged, or at rates not in the paper's ratio. No verdict "
    "is given, and no figure of the paper stands beside them. Intervals are t intervals over seeds alone.",
    "smoke": "Smoke test only: generated data or a few steps. Not a result; no verdict is given.",
}
MEANINGS = {
    DENSE: "the end of the dense phase D, which all arms start from",
    "dsd": "the sparse phase S under magnitude masks, then the re-dense phase D2; both again in a row of several iterations",
    "control": "ordinary training of equal budget: the schedule, steps and fresh optimizers of S and D2, no mask",
    "llr": "the paper's control: dense training on for as many epochs at a tenth of the rate of D's last epoch",
    "random": "as DSD, with as many weights of each layer drawn at random",
}
SENSITIVITY_MEANINGS = {
    "DSD, D2 at the text's rate": "D2 starts at a tenth of D's rate, as the paper's text has it; its control does so too",
    "DSD at 50 %, and so on": "DSD at that sparsity in every sparse phase, in place of the recipe's",
    "DSD twice": "two iterations of S and D2, each phase half as long",
    "Optimizer state kept": "DSD and the control without the fresh optimizer at the start of every phase",
    "Control, averaged": "its weights over its last quarter of steps, at its own falling rates, with statistics of batch norm made "
    "anew (Izmailov et al., 2018, keep the rate high there)",
    "SAM": "the control by sharpness-aware minimisation, which takes twice the arithmetic a step (Foret et al., 2021)",
}
COMPARISONS = (("dsd", "control"), ("dsd", DENSE), ("control", DENSE), ("dsd", "llr"), ("dsd", "random"))
NONE = "-"


@dataclass(frozen=True)
class Block:
    """A table with its heading and the sentences that must not be parted from it."""

    heading: str
    text: str
    frame: pd.DataFrame


def number(value: float, signed: bool = False, digits: int = 2) -> str:
    """Return two decimals, and never a negative zero."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}" if signed else f"{rounded:.{digits}f}"


def ends(low: float, high: float) -> str:
    """Return "[low, high]", an end that is not zero with the decimals it takes to see on which side of zero it lies."""
    shown = []
    for end in (low, high):
        # Sums of decimals miss zero by about 1e-16: six decimals are the end of it.
        digits = next((d for d in range(2, 7) if round(end, d) != 0), 2)
        shown.append(f"{round(end, digits) + 0.0:+.{digits}f}")
    return f"[{', '.join(shown)}]"


def mean_sd(found: Cell | Paired | None, signed: bool = False, digits: int = 2) -> str:
    """Return "mean ± sd", or the mean alone at n = 1."""
    if found is None:
        return NONE
    mean = number(found.mean, signed, digits)
    return mean if found.sd is None else f"{mean} ± {number(found.sd, digits=digits)}"


def interval(found: Paired | None, sd: bool = True) -> str:
    """Return "mean ± sd [low, high]", without an interval at n = 1; not `sd`, without the standard deviation."""
    if found is None:
        return NONE
    mean = mean_sd(found, signed=True) if sd else number(found.mean, True)
    return mean if found.interval is None else f"{mean} {ends(*found.interval)}"


def crossed(found: Crossed | None) -> str:
    """Return "mean [low, high]" of the interval over seeds and test examples, a dash where there is none."""
    return NONE if found is None else f"{number(found.mean, True)} {ends(found.low, found.high)}"


def gain(group: Group, arm: str = "dsd", over: str = "control") -> str:
    """Return a gain with its interval over seeds and test examples; of what is no result "mean ± sd [t interval over seeds]"."""
    found = summary.crossed(group, arm, over) if group.quotable else None
    return crossed(found) if found else interval(summary.compare(group, arm, over))


def p_value(p: float | None) -> str:
    """Return three decimals, "< 0.001" below that."""
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def metric_name(name: str, group: Group, short: bool = False) -> str:
    """Return what a reader calls a metric, with its unit where that is known."""
    return metrics.with_unit(name, metrics.unit(name, group.metric, group.sample.unit), short)


def network(group: Group) -> str:
    """Return the network's name as the paper prints it, and whether its dense start was given."""
    row = paper.ROWS.get(group.key.row)
    name = row.network if row else str(group.sample.recipe.get("network", group.key.row))
    return name if group.key.start == "trained" else f"{name}, given dense start"


def data_name(group: Group) -> str:
    """Return the data set's name, with what was left out of it or made up."""
    name = group.key.data + (f" ({100 * group.key.subset:g} % subset)" if group.key.subset < 1 else "")
    return f"SYNTHETIC {name}" if group.synthetic else name


def paper_heading(group: Group) -> str:
    """Return the heading of the paper's column: what its figures were measured on, where that is not what ours were."""
    row = group.paper
    assert row is not None
    if group.comparable:
        return "paper"
    return f"paper ({row.data}, full recipe)" if row.same_data else f"the paper's, on {row.data}"


def frame(lines: Sequence[dict[str, str]]) -> pd.DataFrame:
    """Return text cells; the columns are those of the fullest line, and a cell that a line lacks holds a dash."""
    fullest = max(lines, key=len)
    columns = list(fullest)
    columns += [name for name in dict.fromkeys(name for line in lines for name in line) if name not in columns]
    return pd.DataFrame([[line.get(name, NONE) for name in columns] for line in lines], columns=columns, dtype=str)


def paper_cell(figure: paper.Figure | None) -> str:
    """Return a published figure, marked where nobody could read it in a source."""
    if figure is None:
        return NONE
    return number(figure.value) if figure.verified else f"{number(figure.value)} *unverified*"


def markdown(block: Block, level: int) -> str:
    """Return the block as Markdown under a heading of `level`."""
    return "\n\n".join(part for part in (f"{'#' * level} {block.heading}", block.text, _table(block.frame)) if part)


def markdown_table(lines: Sequence[dict[str, str]]) -> str:
    """Return `lines` as a Markdown table."""
    return _table(frame(lines))


def _table(cells: pd.DataFrame) -> str:
    # Without disable_numparse, tabulate would read "30.10" as a number and print 30.1.
    return str(cells.replace(r"\|", r"\\|", regex=True).to_markdown(index=False, disable_numparse=True))


def latex(blocks: Sequence[Block]) -> str:
    """Return the blocks as LaTeX tables, each captioned with its heading and sentences."""
    texts = []
    for block in blocks:
        plain = block.frame.replace(r"\*", "", regex=True)
        caption = _latex_text(" ".join(part for part in (block.heading + ".", block.text) if part))
        text = plain.to_latex(index=False, escape=True, caption=caption, column_format="l" * plain.shape[1])
        texts.append(text.replace("±", r"$\pm$"))
    return f"% {SELECTION}\n" + "\n".join(texts)


def _latex_text(text: str) -> str:
    for character in "%&#_$":
        text = text.replace(character, "\\" + character)
    return text


def unique(values: Collection[str]) -> str:
    """Return the distinct values in order, joined."""
    return ", ".join(sorted(set(values)))


def commits(records: Sequence[Record]) -> str:
    """Return the distinct commits, short, each marked where the checkout was changed, and what differed earlier."""
    states = {True: " (dirty)", False: "", None: " (state unknown)"}
    found = []
    for one in records:
        before = f" (before an interruption: {'; '.join(one.earlier)})" if one.earlier else ""
        found.append(f"{(one.commit or 'unknown')[:12]}{states[one.dirty]}{before}")
    return unique(found)
