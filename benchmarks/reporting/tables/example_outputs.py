"""Outputs of one trial's networks for a few test examples."""

from __future__ import annotations

from benchmarks.analysis import example_outputs, word_errors
from benchmarks.analysis.example_outputs import Form, Sample
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS
from benchmarks.reporting.document import PAGES, Cell, Column, Table, table


def quotations(group: Group, form: Form) -> Table:
    """Return the lowest seed's captions or transcripts of a few test examples."""
    shown, record = example_outputs.shown(group), example_outputs.source(group)
    assert record is not None, "the group has samples of that form"
    arms = dict.fromkeys(name for one in shown for name in one.said)
    columns: list[Column[Sample]] = [
        Column("example", form.example, lambda one: Cell(one.example)),
        Column("reference", "reference", lambda one: Cell(one.reference)),
        *(_said(name, form) for name in arms),
    ]
    marks = f"; against the reference, words are {word_errors.LEGEND}" if form.marked else ""
    sentences = (
        f"{form.kind.capitalize()} of a few test {form.example}s after the last epoch, seed {record.seed}{marks}:"
    )
    return table(columns, shown, PAGES, sentences=sentences, words=True)


def _said(name: str, form: Form) -> Column[Sample]:
    def cell(one: Sample) -> Cell:
        text = one.said[name]
        return Cell(
            (word_errors.markdown(word_errors.marked(one.reference, text)) if form.marked else text) or "(empty)"
        )

    return Column(name, LABELS.get(name, name), cell)
