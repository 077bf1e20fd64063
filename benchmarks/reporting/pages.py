"""The documents of a results folder: README, overview, one page per row, and the table at the end of a run."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator

from benchmarks import paper
from benchmarks.analysis import answers, example_outputs, summary
from benchmarks.analysis.groups import Group, Section
from benchmarks.analysis.results import Results
from benchmarks.reporting import display_names, formatting, group_names, verdict_words, wording
from benchmarks.reporting.document import (
    Block,
    Bullets,
    Cell,
    Details,
    Document,
    Figure,
    Heading,
    Paragraph,
    Table,
    Text,
)
from benchmarks.reporting.figures import names
from benchmarks.reporting.group_facts import facts
from benchmarks.reporting.tables import (
    arms,
    checkpoint_selection,
    estimates,
    gains,
    gate,
    iterations,
    label_noise,
    overview,
    planned,
    readings,
    remaining,
    sensitivity,
)
from benchmarks.reporting.tables import run_summary as ending
from benchmarks.reporting.tables.arm_cards import INTRODUCTION, cards
from benchmarks.reporting.tables.example_outputs import quotations
from benchmarks.reporting.tables.mask_lineage import lineage
from benchmarks.reporting.tables.records import failures, rerun, trials

SMOKE, SUPERSEDED = "smoke", "superseded"
"""The names of the pages of all smoke tests and of all superseded trials."""
_MAKE_SOME = "Make one with `nox -s imagenet_resnet18` (generated data, minutes) or, on real data, with\n" + (
    "`nox -s imagenet_resnet18 -- --scale small --data DIR`."
)


_KINDS: dict[str, Section] = {SMOKE: "smoke", SUPERSEDED: "small"}
_APART = {SMOKE: "every row", SUPERSEDED: "every row, suite 0.1"}


def groups_by_page(results: Results) -> dict[str, list[Group]]:
    """Return the groups of each row's page, then those of the pages of superseded trials and smoke tests, by name of the page."""
    failed = {record.row for record in results.failed}
    apart = {
        SUPERSEDED: [group for group in results.groups if group.superseded],
        SMOKE: [group for group in results.groups if group.section == "smoke"],
    }
    rest = [group for group in results.groups if not any(group in groups for groups in apart.values())]
    rest.sort(key=lambda group: answers.outside(group, results.groups))  # planned ones first
    rows = {row: [group for group in rest if group.key.row == row] for row in results.names}
    found = {row: groups for row, groups in rows.items() if groups or row in failed}
    return found | {name: groups for name, groups in apart.items() if groups}


def readme(results: Results) -> Document:
    """Return results/README.md: the answer, its figure and table, what is missing, and links to everything else."""
    title = Heading(1, "Results")
    if not results.records:
        return (title, Paragraph(f"There are no records yet. {_MAKE_SOME}"))
    answer = headline(results) if _real(results) else (Paragraph("No result on real data yet."),)
    return (title, *answer, *resolving(results), *_contents(results), *_small_print(results))


def headline(results: Results, brief: bool = False) -> Document:
    """Return the answer in words, its figure and its table, how to read it, and secondary readings.

    `brief`: for the README at the repository root, which links the longer readings.
    """
    rest = Cell("results/README.md", address="README.md")
    if not _real(results):
        return (Paragraph(("No result on real data yet: see ", rest, ".")),)
    rows, groups = results.rows, results.groups
    shown: list[Block] = [Bullets(planned.explanation(rows))]
    beside, listed = readings.outside(rows, groups), readings.with_intervals(rows) if brief else rows
    if readings.lines(listed):
        shown += [Paragraph(readings.TITLE), readings.table(listed)]
    if brief and readings.lines(rows):
        beside = (*beside, *([" "] if beside else []), f"{readings.REST} ", rest, ".")
    shown += [Paragraph(beside)] if beside else []
    if not brief and readings.lines(rows):
        shown.append(Bullets(readings.secondary(rows)))
    answer = Paragraph((*planned.answered(rows), *remaining.cost(rows, groups)))
    return (answer, *_figure(results, names.GAINS), planned.table(rows), *shown)


def resolving(results: Results) -> Document:
    """Return what the rows without a verdict lack, and the figure of the drop at pruning."""
    if not _real(results):
        return ()
    lacking, drop = remaining.lacking(results.rows), _figure(results, names.DROP)
    parts: list[Block] = [Heading(2, remaining.HEADING), *lacking] if lacking else []
    have = len(names.dropped(results.groups))
    early = Paragraph(
        f"Too early: {names.FEWEST_ROWS} rows are needed, {have} {'has' if have == 1 else 'have'} trials."
    )
    return (*parts, Heading(2, "Does the drop at pruning predict the gain?"), *(drop or [early]))


def _real(results: Results) -> bool:
    """Return whether there are trials of our recipes on real data."""
    return any(group.section not in ("smoke", "custom") for group in results.groups)


def _figure(results: Results, name: str) -> list[Block]:
    return [Figure(name, names.SHARED[name])] if name in names.figure_names(results.groups) else []


def _contents(results: Results) -> Iterator[Block]:
    """Yield the list of all pages."""
    yield Heading(2, "All results")
    items: list[Text] = []
    for name, groups in groups_by_page(results).items():
        link = Cell(name, address=f"tables/{name}.md")
        counts = Counter(_kind(group, results) for group in groups for _ in group.records)
        trials = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "0"
        network = paper.ROWS[name].network if name in paper.ROWS else _APART.get(name, "not in the paper")
        items.append((link, f": {network}; trials: {trials}"))
    items += [
        (Cell("overview", address="tables/overview.md"), ": all groups of trials by kind of result, and in CSV"),
        (Cell("arms", address="tables/arms.md"), ": what each arm's authors claim and what our trials found"),
    ]
    yield Bullets(tuple(items))


def _small_print(results: Results) -> Iterator[Block]:
    fewer, as_many = (sum(_replaced(group, more) for group in results.groups) for more in (True, False))
    states = {
        "replaced by a newer trial of the same seed with more arms": fewer,
        "replaced by a newer trial of the same seed with the same arms": as_many,
        "not used, because an older trial of the same seed has more arms": sum(len(g.unused) for g in results.groups),
        "failed and left out": len(results.failed),
    }
    count, used = len(results.records), sum(len(group.records) for group in results.groups)
    counts = [f"{used} in the tables", *(f"{number} {state}" for state, number in states.items() if number)]
    records = f"{count} {'record' if count == 1 else 'records'}: {', '.join(counts)}."
    yield Details("Rules and counts", (wording.RULE, *wording.ORIGIN, records))


def _replaced(group: Group, more: bool) -> int:
    """Return the number of replaced trials of a group that have fewer arms than the trial in use, or (not `more`) the same."""
    arms = {record.seed: set(record.arms) for record in group.records}
    return sum((set(record.arms) < arms[record.seed]) == more for record in group.replaced)


def page(name: str, results: Results) -> Document:
    """Return the page of a row, of the superseded trials or of the smoke tests: every group with all its gains.

    In CSV: every mean and gain.
    """
    groups, kind = groups_by_page(results)[name], _KINDS.get(name)
    parts: list[Block] = [Heading(1, wording.HEADINGS[kind] if kind else name)]
    parts += [Paragraph(wording.INTRODUCTIONS[kind]) if kind else _about(name)]
    if not kind and any(group.superseded for group in results.of(name)):
        link = Cell("a page of their own", address=f"tables/{SUPERSEDED}.md")
        parts.append(Paragraph(("The row's superseded trials (suite 0.1) are on ", link, ".")))
    parts += [Paragraph(f"{wording.SELECTION} {wording.SPREAD}"), _formats(name), estimates.quantities([])]
    parts += overview.plain("All smoke tests", "", groups, results.groups) if name == SMOKE else []
    parts += [_introduced(block, _introduction(group, results)) for group in groups for block in _group(group, results)]
    for row in dict.fromkeys(group.key.row for group in groups) if name != SMOKE else ():
        parts += label_noise.blocks(groups, row)
    return (*parts, *failures([record for record in results.failed if record.row == name]))


def overview_page(results: Results) -> Document:
    """Return all groups by kind of result."""
    blocks = overview.blocks(results.groups, results.rows)
    title, exported = Heading(1, "All results by kind"), overview.export(results.groups, results.rows)
    answered = [planned.table(results.rows, frozenset({"latex"}))] if _real(results) else []
    return (title, Paragraph(wording.RULE), _formats("overview"), *answered, *blocks, exported)


def end_of_run(row: str, results: Results) -> Document:
    """Return the document printed at the end of a run: one table per group of `row`."""
    several = any(summary.count_iterations(group) > 1 for group in results.of(row))
    shortened = "it.: iteration.\n" if several else ""
    rule = Paragraph(f"Control: equal budget. {shortened}{wording.SELECTION}")
    return (*(ending.end_of_run(group, results.rows) for group in results.of(row)), rule)


def arms_page(results: Results) -> Document:
    """Return the page of what each arm's authors claim and what our trials found."""
    title = Heading(1, "Arms: what their authors claim and what our trials found")
    return (title, Paragraph(INTRODUCTION), *cards(results.groups))


def _about(row: str) -> Paragraph:
    published = paper.ROWS.get(row)
    if published is None:
        return Paragraph("This row is not in the paper.")
    unless = f", except those marked {wording.FROM_MEMORY}" if _from_memory(published) else ""
    text = (
        f"{published.network}; in the paper on {published.data}, with figures from Table 1 and "
        f"{published.stages['Baseline'][published.metric].source}{unless}. {published.note}"
    ).rstrip()
    if published.equal_budget:
        text += f" At equal budget (one iteration) the paper's gain was {published.equal_budget.value:.2f}; that is the claim. "
        text += "Our primary figure is after two iterations, over a control of as many epochs."
    return Paragraph(text)


def _group(group: Group, results: Results) -> Iterator[Block]:
    """Yield the section of one group."""

    def picture(kind: names.Kind, words: str) -> Iterator[Figure]:
        if kind in names.kinds(group):
            of = ", ".join([display_names.network(group), f"{group.key.scale} scale", *group.key.custom])
            yield Figure(names.figure_name(group, results.groups, kind), f"{of}: {words}")

    yield Heading(2, f"{group.key.row}: {group_names.title(group)}", group)
    if group.section not in _KINDS.values():  # pages of smoke tests and superseded trials have it once at the top
        yield Paragraph(_introduction(group, results))
    yield _verdict(group, results)
    yield from arms.tables(group)
    yield from picture("curves", "training loss, test metric and gain over the control by epoch")
    yield from gate.blocks(group, results.rows)
    yield from iterations.tables(group, answers.outside(group, results.groups))
    yield gains.table(group, results.rows)
    yield from checkpoint_selection.tables(group)
    yield from sensitivity.tables(group)
    yield from picture("sensitivity", "gain over the control by sparsity, and for other uses of the budget")
    if form := example_outputs.form(group):
        yield quotations(group, form)
    yield from picture("weights", "weights from D through S to D2")
    yield from lineage(group)
    yield trials(group)
    yield rerun(group)
    yield Details("Provenance: fit, cost, hardware, software, data, recipe", tuple(facts(group)))


def _introduced(block: Block, introduction: str) -> Block:
    """Return a block of a group's section. A table's caption gets the group's introduction, for formats without other text."""
    if not isinstance(block, Table) or not block.caption:
        return block
    return dataclasses.replace(block, caption=f"{block.caption} {introduction}")


def _formats(name: str) -> Paragraph:
    csv, latex = (Cell(word, address=f"tables/{name}.{suffix}") for word, suffix in (("CSV", "csv"), ("LaTeX", "tex")))
    return Paragraph(("The same numbers as ", csv, " and ", latex, "."))


def _kind(group: Group, results: Results) -> str:
    return wording.OUTSIDE if answers.outside(group, results.groups) else wording.KINDS[group.section]


def _introduction(group: Group, results: Results) -> str:
    text, row = wording.INTRODUCTIONS[group.section], group.paper
    if answers.outside(group, results.groups):
        text = wording.OUTSIDE_INTRODUCTION
    if row and group.section == "paper" and not group.comparable:
        text = "The paper's figures are not comparable: they are for other data or all of it. Not in the plan, so no verdict."
    if row and _from_memory(row):
        text += f" {wording.NOT_CHECKED}"
    return text


def _from_memory(row: paper.Row) -> bool:
    return any(not figure.verified for cells in row.stages.values() for figure in cells.values())


def _verdict(group: Group, results: Results) -> Paragraph:
    """Return the primary figure and its verdict."""
    primary, row = summary.primary(group), answers.row_of(group, results.rows)
    said = verdict_words.sentence(group, results.rows)
    if primary is None:
        return Paragraph(f"DSD over control: {verdict_words.no_gain(group)}, so neither a gain nor a verdict.")
    gain = Cell(formatting.gain(group), primary.mean, summary.trials(group, "dsd", "control"))
    about = f"DSD over control, {display_names.metric_name(group.metric, group)}: "
    count = f", n = {primary.n}" + (f" of {row.wanted.seeds} planned" if row else "")
    if not group.quotable:
        text = f"{'SYNTHETIC. ' if group.synthetic else ''}{about}"
        return Paragraph((text, gain, f"{count}. {said}."))
    parts: list[str | Cell] = [f"**{about}", gain, f"{count}. {said}.**"]
    answer = row.answer if row else None
    if row and answer and answer.p is not None and answer.p_holm is not None:
        p, holm = (Cell(_p(value), value, gain.trials) for value in (answer.p, answer.p_holm))
        parts += [" p ", p, f", Holm-adjusted over the {len(results.rows)} planned rows ", holm, "."]
    if row and answer and (found := answer.share):
        shares = [100 * value for value in (found.low, found.high, found.lower, found.upper)]
        text = f"{formatting.number(100 * found.share, True)} % {formatting.ends(*shares[:2])}"
        bounds = f", with one-sided bounds {formatting.ends(*shares[2:])}"
        if row.control is not None:
            bounds += f" (in points {formatting.ends(found.lower * row.control, found.upper * row.control)})"
        parts += [" As a share of the control ", Cell(f"{text}{bounds}", found.share, gain.trials)]
        here = planned.here(row)
        points = "" if here is None else f", which is {here:+.2f} points here"
        parts.append(
            f". The paper's claim is {100 * row.claim.share:.1f} %{points} ({row.claim.points:+.2f} in the paper)."
        )
    return Paragraph(tuple(parts))


def _p(value: float) -> str:
    text = formatting.p_value(value)
    return text if text.startswith("<") else f"= {text}"
