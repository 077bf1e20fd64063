"""Text from groups: table frames and the Markdown around them. Pure functions; nothing here reads or writes a file."""

from __future__ import annotations

from benchmarks.analysis.groups import Section
from benchmarks.analysis.summary import DENSE

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
