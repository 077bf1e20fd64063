"""The sentences that several pages share: rules, headings, what each arm means."""

from __future__ import annotations

from collections.abc import Collection

from benchmarks.analysis.groups import Section
from benchmarks.analysis.summary import LABELS
from benchmarks.arms.registry import ARMS, DENSE, MAIN, SENSITIVITY

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
MEANINGS = {LABELS[DENSE]: "the end of the dense phase D, which all arms start from"} | {
    ARMS[name].label: ARMS[name].meaning for name in MAIN
}


def meanings(arms: Collection[str]) -> dict[str, str]:
    """Return what the end of D, the main arms and those of `arms` mean, by what lists call them."""
    others = [ARMS[name] for name in SENSITIVITY if name in arms]
    return MEANINGS | {one.listed or one.label: one.meaning for one in others}


COMPARISONS = (("dsd", "control"), ("dsd", DENSE), ("control", DENSE), ("dsd", "llr"), ("dsd", "random"))
