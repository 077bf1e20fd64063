"""What the networks of one trial say of a few test examples."""

from __future__ import annotations

from benchmarks.analysis import samples, word_errors
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS
from benchmarks.reporting.document import Line


def sample_lines(group: Group) -> list[Line]:
    """Return what the networks of the lowest seed say of a few test examples; none where the row has no such samples."""
    form = samples.form(group)
    if form is None:
        return []

    def said(text: str, reference: str) -> str:
        return (word_errors.markdown(word_errors.marked(reference, text)) if form.marked else text) or "(empty)"

    return [
        {form.example: one.example, "reference": one.reference}
        | {LABELS.get(name, name): said(text, one.reference) for name, text in one.said.items()}
        for one in samples.shown(group)
    ]


def sample_sentence(group: Group) -> str:
    """Return whose samples they are, and how errors are marked in them."""
    form, record = samples.form(group), samples.source(group)
    assert form is not None
    assert record is not None
    marks = f"; against the reference, words are {word_errors.LEGEND}" if form.marked else ""
    return f"{form.kind.capitalize()} of a few test {form.example}s after the last epoch, seed {record.seed}{marks}:"
