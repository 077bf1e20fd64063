"""Sentences that several pages share: rules and headings."""

from __future__ import annotations

from benchmarks.analysis.groups import Section
from benchmarks.arms.registry import DENSE

SELECTION = "Selection rule: last epoch, never best on test."
RULE = (
    f"{SELECTION} A positive gain means DSD is better. The primary figure, fixed in advance, is DSD's gain over the equal-budget "
    "control, paired by seed. Its 95 % interval covers seeds and test examples. Only planned rows get a verdict, and only with "
    "all planned seeds and a gate that holds. *Claim*: is the paper's gain, as a share of the control's metric, reached, not "
    "excluded, excluded, or even half excluded (one-sided 5 %). *Direction*: DSD better, DSD worse, or no difference "
    "shown (two-sided 5 %, Holm-adjusted over the seven planned rows)."
)
FROM_MEMORY = "*from memory*"
"""The mark of a published figure that nobody has checked in a source."""
NOT_CHECKED = (
    f"Figures marked {FROM_MEMORY} are not checked: we found no source that we could read them in, so they may be wrong. No result "
    "depends on them."
)
SPREAD = "± is the standard deviation over seeds; brackets are a 95 % interval."
ORIGIN = (
    "Trials run in a folder of their own. Finished records are copied to this one unchanged.",
    "A planned row's record names a commit that contains the plan that its trial follows, so git shows that the plan came first.",
)
"""Where records come from."""
SUPERSEDED = "Superseded: suite 0.1, not a test of the claim"
HEADINGS: dict[Section, str] = {
    "paper": "Paper scale: the published recipe",
    "regime": "The planned rows: smaller networks, less data",
    "custom": "Custom recipes: overridden on the command line, not compared with the paper",
    "small": SUPERSEDED,
    "smoke": "SYNTHETIC data and smoke tests: they show that a row runs, not what DSD does",
}
INTRODUCTIONS: dict[Section, str] = {
    "paper": "The paper's figures are shown beside ours. Not in the plan, so no verdict.",
    "regime": "A verdict applies to DSD on this data and at this size. It tests the paper's claim as a share of the control.",
    "custom": "No verdict.",
    "small": "Superseded: the networks were pruned before they had converged, or their learning rates were not in the paper's "
    "ratio. No verdict and no comparison with the paper. Intervals are t intervals over seeds only.",
    "smoke": "Smoke test only: generated data or a few steps. Not a result, so no verdict.",
}
KINDS: dict[Section, str] = {
    "paper": "at paper scale",
    "regime": "planned",
    "custom": "of custom recipes",
    "small": "superseded",
    "smoke": "smoke tests (SYNTHETIC data, or a few steps)",
}
"""The name of a section's trials in a list."""
OUTSIDE = "outside the plan"
"""The name of trials at small scale that are not planned."""
OUTSIDE_INTRODUCTION = (
    "Outside the plan: another recipe than the planned one, such as an earlier one whose gate failed. The README of the row's "
    "domain in `tasks/` says why it was replaced. No verdict."
)
_FIELDS = {
    "area": "area of the training crop, as a share of the picture:",
    "crop": "training crop in pixels:",
    "jitter": "colour jitter:",
    "lighting": "lighting noise:",
    "probes": "share of the training pictures set aside for probes:",
    "resize": "resized by",
    "sortagrad": "shortest utterances first in the first epoch (SortaGrad):",
    "test crop": "test crop in pixels:",
    "test resize": "test pictures resized to, in pixels:",
    "test unused": "remaining training pictures added to the test set:",
    "trained": "share of the training pictures used for training:",
    "width factor": "channels, as a share of the published number:",
}
"""Field names of recipes in the notes of records, and what they mean."""


def readable(note: str) -> str:
    """Return a recipe's note with the field names of `_FIELDS` in words."""
    head, mark, rest = note.partition("not as published: ")
    parts = (rest if mark else head).split("; ")
    for number, part in enumerate(parts):
        name = max((one for one in _FIELDS if part.startswith(f"{one} ")), key=len, default=None)
        if name:
            parts[number] = f"{_FIELDS[name]} {part.removeprefix(f'{name} ')}"
    return f"{head if mark else ''}{mark}{'; '.join(parts)}"


COMPARISONS = (("dsd", "control"), ("dsd", DENSE), ("control", DENSE), ("dsd", "llr"), ("dsd", "random"))
