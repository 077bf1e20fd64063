"""The documents of a results folder: README, overview, one page per row, and the table at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import paper
from benchmarks.analysis import answers, mask_lineage, samples, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.results import Results
from benchmarks.reporting import formatting, group_names, headings, wording
from benchmarks.reporting.document import Block, Bullets, Cell, Document, Figure, Heading, Paragraph
from benchmarks.reporting.figures import names
from benchmarks.reporting.notes import facts
from benchmarks.reporting.tables import (
    arms,
    checkpoint_selection,
    first_updates,
    gains,
    iterations,
    label_noise,
    overview,
    planned,
    quantities,
    sensitivity,
)
from benchmarks.reporting.tables import run_summary as ending
from benchmarks.reporting.tables.arm_cards import INTRODUCTION, cards
from benchmarks.reporting.tables.mask_lineage import lineage
from benchmarks.reporting.tables.records import failures, trials
from benchmarks.reporting.tables.samples import quotations

_MAKE_SOME = "Make one with `nox -s imagenet_resnet18` (generated data, minutes) or, on real data, with\n" + (
    "`nox -s imagenet_resnet18 -- --scale small --data DIR`."
)
RULE = Paragraph(wording.RULE)


def readme(results: Results) -> Document:
    """Return results/README.md."""
    parts = [*top(results)]
    for row in results.names:
        chosen = [group for group in results.of(row) if group.section not in ("small", "smoke")]
        if chosen:
            parts += [Heading(2, row), _about(row), _links(row)]
            parts += [block for group in chosen for block in _group(group, results, whole=False)]
            parts += label_noise.blocks(results.groups, row)
    for section, heading in (
        ("small", f"{wording.SUPERSEDED}, row by row"),
        ("smoke", "SYNTHETIC data and smoke tests, row by row"),
    ):
        chosen = [group for group in results.groups if group.section == section]
        parts += [Heading(2, heading)] if chosen else []
        for group in chosen:
            parts += [*_group(group, results, whole=False), _links(group.key.row)]
    return (*parts, *failures(results.failed))


def top(results: Results) -> Document:
    """Return the top of the README, before the sections on single rows."""
    parts: list[Block] = [Heading(1, "Results")]
    if not results.records:
        return (*parts, Paragraph(f"There are no records yet. {_MAKE_SOME}"))
    parts += [Paragraph("Does DSD beat ordinary training given the same budget?"), RULE, _counts(results)]
    parts += overview.blocks(results.groups, results.rows)
    if "gains.png" in names.figure_names(results.groups):
        parts.append(Figure("gains.png", "Paired gains with 95 % intervals, one dot per seed within the frame"))
    parts.append(_formats("The same tables", "overview"))
    open_ = planned.lacking(results.rows, results.groups)
    if open_.items and any(group.section not in ("smoke", "custom") for group in results.groups):
        parts += [Heading(2, "What the planned rows still need"), open_]
    every = {name for group in results.groups for record in group.records for name in record.arms}
    meanings = wording.meanings(every).items()
    listed = Bullets(tuple(f"**{label}**: {meaning}" for label, meaning in meanings))
    link = Cell("what each arm's authors claim and what our trials found", address="tables/arms.md")
    return (*parts, Heading(2, "Arms"), listed, Paragraph(("See ", link, ".")))


def row_page(row: str, results: Results) -> Document:
    """Return the page of a row: every group with all its gains. In CSV: every mean and gain, one per line."""
    parts: list[Block] = [Heading(1, row), _about(row), RULE, quantities.quantities([])]
    parts += [block for group in results.of(row) for block in _group(group, results, whole=True)]
    parts += label_noise.blocks(results.groups, row)
    return (*parts, *failures([record for record in results.failed if record.row == row]))


def overview_page(results: Results) -> Document:
    """Return the overview."""
    blocks = overview.blocks(results.groups, results.rows)
    return (Heading(1, "Overview"), RULE, *blocks, overview.export(results.groups, results.rows))


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


def _counts(results: Results) -> Paragraph:
    superseded = sum(len(group.superseded) for group in results.groups)
    used = sum(len(group.records) for group in results.groups)
    unused = sum(len(group.unused) for group in results.groups)
    states = {
        "superseded by a newer trial of the same seed with all arms": superseded,
        "not used, because an older trial of the same seed has more arms": unused,
        "failed and left out": len(results.failed),
    }
    counts = [f"{used} in the tables", *(f"{count} {state}" for state, count in states.items() if count)]
    count = len(results.records)
    return Paragraph(f"{count} {'record' if count == 1 else 'records'}: {', '.join(counts)}.")


def _about(row: str) -> Paragraph:
    published = paper.ROWS.get(row)
    if published is None:
        return Paragraph("This row is not in the paper.")
    text = (
        f"{published.network}; in the paper on {published.data}, with figures from Table 1 and "
        f"{published.stages['Baseline'][published.metric].source}. {published.note}"
    ).rstrip()
    if published.equal_budget:
        text += f" At equal budget (one iteration) the paper's gain was {published.equal_budget.value:.2f}."
    return Paragraph(text)


def _group(group: Group, results: Results, whole: bool) -> Iterator[Block]:
    """Yield the section of one group: complete if `whole`, otherwise the primary figure and its basis."""

    def picture(kind: names.Kind, words: str) -> Figure:
        of = ", ".join([headings.network(group), f"{group.key.scale} scale", *group.key.custom])
        return Figure(names.figure_name(group, results.groups, kind), f"{of}: {words}")

    yield Heading(3, f"{group.key.row}: {group_names.title(group)}", group)
    yield Paragraph(_introduction(group))
    yield _verdict(group, results)
    main, *others = arms.tables(group)
    yield main
    yield from others if whole else ()
    by_iteration, every = iterations.tables(group)
    yield by_iteration
    if whole:
        yield every
        yield gains.table(group, results.rows)
        yield from checkpoint_selection.tables(group)
        yield from sensitivity.tables(group)
        yield first_updates.first_steps(group)
    if summary.has_sensitivity(group):
        yield picture("sensitivity", "gain over the control by sparsity, and for other uses of the budget")
    yield picture("curves", "training curves of the main arms")
    if whole and (form := samples.form(group)):
        yield quotations(group, form)
    if mask_lineage.of_weights(group):
        yield picture("weights", "weights of the largest pruned tensor at five points, as in the paper's Figure 2")
    if mask_lineage.by_seed(group):
        yield picture("lineage", "what happened to the weights that S pruned")
        yield lineage(group)
    yield Bullets(tuple(facts(group)))
    yield trials(group)


def _links(row: str) -> Paragraph:
    return _formats("All gains", row)


def _formats(what: str, name: str) -> Paragraph:
    markdown, csv, latex = (
        Cell(word, address=f"tables/{name}.{suffix}")
        for word, suffix in (("Markdown", "md"), ("CSV", "csv"), ("LaTeX", "tex"))
    )
    return Paragraph((f"{what}: ", markdown, ", ", csv, ", ", latex, "."))


def _introduction(group: Group) -> str:
    text, row = wording.INTRODUCTIONS[group.section], group.paper
    if row and group.section == "paper" and not group.comparable:
        text = "The paper's figures are not comparable: they are for other data or all of it. Not in the plan, so no verdict."
    if row and any(not figure.verified for cells in row.stages.values() for figure in cells.values()):
        text += " *Unverified* figures are from memory: we could not read them in a source. No result depends on them."
    return text


def _verdict(group: Group, results: Results) -> Paragraph:
    """Return the primary figure and its verdict."""
    primary, row = summary.primary(group), answers.row_of(group, results.rows)
    standing = answers.standing(group, results.rows)
    if primary is None:
        return Paragraph(f"DSD over control: {summary.missing(group)}, so neither a gain nor a verdict.")
    gain = Cell(formatting.gain(group), primary.mean, summary.trials(group, "dsd", "control"))
    about = f"DSD over control, {headings.metric_name(group.metric, group)}: "
    count = f", n = {primary.n}" + (f" of {row.wanted.seeds} planned" if row else "")
    if not group.quotable:
        text = f"{'SYNTHETIC. ' if group.synthetic else ''}{about}"
        return Paragraph((text, gain, f"{count}. Verdict: {standing}."))
    text = f"{count}. Verdict: {standing}.**"
    if row is None or row.lacks is not None:
        return Paragraph((f"**{about}", gain, text))
    answer, share, points = row.answer, 100 * row.claim.share, f"{row.claim.points:+.2f}"
    assert answer.p is not None
    assert answer.p_holm is not None
    p, holm = (Cell(_p(value), value, gain.trials) for value in (answer.p, answer.p_holm))
    parts = (
        f"**{about}",
        gain,
        f"{text} p ",
        p,
        f", Holm-adjusted over the {len(results.rows)} planned rows ",
        holm,
        ".",
    )
    if (found := answer.share) is None:
        return Paragraph(parts)
    shares = [100 * value for value in (found.share, found.low, found.high, found.lower, found.upper)]
    of_control = Cell(
        f"{formatting.number(shares[0], True)} % {formatting.ends(*shares[1:3])}, with one-sided bounds "
        f"{formatting.ends(*shares[3:])}",
        found.share,
        gain.trials,
    )
    claim = f"; the paper's claim is {points} points, {share:.1f} %."
    return Paragraph((*parts, " As a share of the control ", of_control, claim))


def _p(value: float) -> str:
    text = formatting.p_value(value)
    return text if text.startswith("<") else f"= {text}"
