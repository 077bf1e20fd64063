"""The Markdown pages made from groups: results/README.md, and a page per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks import paper
from benchmarks.analysis import answers, mask_lineage, metrics, samples, summary
from benchmarks.analysis.answers import Row
from benchmarks.analysis.checkpoint_selection import WHERE
from benchmarks.analysis.groups import Group, failed_records, group_records, row_order
from benchmarks.analysis.label_noise import checks
from benchmarks.records.schema import Record
from benchmarks.reporting import document, formatting, group_names, headings, markdown, wording
from benchmarks.reporting.figures import names
from benchmarks.reporting.notes import facts
from benchmarks.reporting.tables import (
    arms,
    checkpoint_selection,
    first_steps,
    iterations,
    label_noise,
    overview,
    planned,
    sensitivity,
)
from benchmarks.reporting.tables import gains as gains_table
from benchmarks.reporting.tables import samples as samples_table
from benchmarks.reporting.tables.mask_lineage import LINEAGE, lineage_lines
from benchmarks.reporting.tables.records import failures, record_lines
from benchmarks.reporting.wording import RULE

GENERATED = "<!-- Generated from records/ by `python -m benchmarks tables`. Do not edit. -->"
"""The first line of every page made here; a page without it is somebody else's."""
_MAKE_SOME = "Make one with `nox -s imagenet_resnet18` (generated data, minutes), or on real data with\n" + (
    "`nox -s imagenet_resnet18 -- --scale small --data DIR`."
)


def readme(records: Sequence[Record]) -> str:
    """Return results/README.md."""
    groups, failed = group_records(records), failed_records(records)
    answered = answers.rows(groups)
    figures = names.figure_names(groups)
    parts = [GENERATED, "# Results"]
    if not records:
        parts += [f"There is no record yet, hence no result. {_MAKE_SOME}"]
        return "\n\n".join(parts) + "\n"
    parts += ["Does DSD beat ordinary training given the same budget?", RULE]
    superseded = sum(len(group.superseded) for group in groups)
    used = sum(len(group.records) for group in groups)
    unused = sum(len(group.unused) for group in groups)
    states = {
        "superseded by a newer trial of the same seed with all of the arms": superseded,
        "not used, for lack of an arm that an older trial of the same seed has": unused,
        "failed and left out": len(failed),
    }
    counts = [f"{used} in the tables", *(f"{count} {state}" for state, count in states.items() if count)]
    parts.append(f"{len(records)} {'record' if len(records) == 1 else 'records'}: {', '.join(counts)}.")
    parts += [markdown.markdown(block, 2) for block in overview.blocks(groups)]
    if "gains.png" in figures:
        parts.append("![Paired gains with 95 % intervals, a dot for every seed within the frame](figures/gains.png)")
    parts.append(
        "The same tables: [Markdown](tables/overview.md), [CSV](tables/overview.csv), [LaTeX](tables/overview.tex)."
    )
    if any(group.section not in ("smoke", "custom") for group in groups) and (
        open_ := planned.lacking(answered, groups)
    ):
        parts.append("## What the planned rows still lack\n\n" + "\n".join(f"- {one}" for one in open_))
    meanings = wording.meanings({name for group in groups for record in group.records for name in record.arms})
    parts.append("## Arms\n\n" + "\n".join(f"- **{label}**: {meaning}" for label, meaning in meanings.items()))
    for row in rows(records):
        chosen = [group for group in groups if group.key.row == row and group.section not in ("small", "smoke")]
        if chosen:
            parts += [_row_heading(row, 2), _links(row)]
            parts += [_group(group, groups, answered, prefix="") for group in chosen]
            parts += _noise(row, groups)
    for section, heading in (
        ("small", f"{wording.SUPERSEDED}, row by row"),
        ("smoke", "SYNTHETIC data and smoke tests, row by row"),
    ):
        if chosen := [group for group in groups if group.section == section]:
            parts.append(f"## {heading}")
        for group in chosen:
            parts += [_group(group, groups, answered, prefix=""), _links(group.key.row)]
    parts += failures(failed, "")
    return "\n\n".join(parts) + "\n"


def row_page(row: str, records: Sequence[Record]) -> str:
    """Return tables/ROW.md: every group of one row with all its gains."""
    groups = group_records(records)
    answered = answers.rows(groups)
    parts = [GENERATED, _row_heading(row, 1), RULE]
    parts += [_group(group, groups, answered, prefix="../") for group in groups if group.key.row == row]
    parts += _noise(row, groups)
    parts += failures([record for record in failed_records(records) if record.row == row], "../")
    return "\n\n".join(parts) + "\n"


def overview_page(groups: Sequence[Group]) -> str:
    """Return tables/overview.md."""
    parts = [GENERATED, "# Overview", RULE, *(markdown.markdown(block, 2) for block in overview.blocks(groups))]
    return "\n\n".join(parts) + "\n"


def rows(records: Sequence[Record]) -> list[str]:
    """Return the rows that have a record, failed ones included, in the paper's order."""
    return sorted({record.row for record in records}, key=row_order)


def _row_heading(row: str, level: int) -> str:
    published = paper.ROWS.get(row)
    heading = f"{'#' * level} {row}"
    if published is None:
        return f"{heading}\n\nThe paper has no such row."
    text = (
        f"{published.network}; in the paper on {published.data}, figures from its Table 1 and "
        f"{published.stages['Baseline'][published.metric].source}. {published.note}"
    ).rstrip()
    if published.equal_budget:
        text += f" At equal budget (one iteration) its gain was {published.equal_budget.value:.2f}."
    return f"{heading}\n\n{text}"


def _group(
    group: Group,
    groups: Sequence[Group],
    answered: Mapping[str, Row],
    prefix: str,
) -> str:
    def picture(kind: names.Kind, words: str) -> str:
        of = ", ".join([headings.network(group), f"{group.key.scale} scale", *group.key.custom])
        return f"![{of}: {words}]({prefix}figures/{names.figure_name(group, groups, kind)})"

    parts = [f"### {group.key.row}: {group_names.title(group)}", _introduction(group), _verdict(group, answered)]
    for family in arms.metric_families(group):
        if prefix or not family:
            parts += _table(metrics.sentence(family, group.metric), arms.stage_lines(group, family))
    parts += _table(iterations.iteration_sentence(group), iterations.iteration_lines(group))
    if prefix:  # the page of the row has everything, the README the primary figure alone
        gains = gains_table.gain_lines(group, answered)
        parts += _table(f"Paired gains in {headings.metric_name(group.metric, group)}:", gains)
        parts += _table(_chosen(group), checkpoint_selection.selection_lines(group))
        parts += _table(sensitivity.sensitivity_sentence(group), sensitivity.sensitivity_lines(group))
        parts += _table(first_steps.first_step_sentence(group), first_steps.first_step_lines(group))
    if summary.has_sensitivity(group):
        parts.append(picture("sensitivity", "gain over the control by sparsity, and of other ways to spend the budget"))
    parts.append(picture("curves", "training curves of the main arms"))
    if form := samples.form(group):
        parts.append(picture(form.kind, form.question[0].lower() + form.question[1:]))
        if prefix:
            parts += _table(samples_table.sample_sentence(group), samples_table.sample_lines(group))
    if mask_lineage.of_weights(group):
        parts.append(picture("weights", "weights of the largest pruned tensor at five points, as the paper's Figure 2"))
    if mask_lineage.told(group):
        parts.append(picture("lineage", "what became of the weights that S pruned"))
        parts += _table(LINEAGE, lineage_lines(group))
    parts.append("\n".join(f"- {fact}" for fact in facts(group)))
    parts.append(markdown.markdown_table(record_lines(group, prefix)))
    return "\n\n".join(parts)


def noise_heading(row: str) -> str:
    """Return the heading of a row's check against wrong labels."""
    return f"{row}: label noise"


def _noise(row: str, groups: Sequence[Group]) -> list[str]:
    """Return the check of a row against wrong labels, nothing where it has none."""
    found = checks(groups, row)
    parts = [f"### {noise_heading(row)}", label_noise.NOISE] if found else []
    for levels in found:
        parts += [label_noise.noise_answer(levels), *_table("", label_noise.noise_gain_lines(levels))]
        parts += _table(label_noise.noise_course_sentence(levels), label_noise.noise_course_lines(levels))
    return parts


def _table(sentence: str, found: Sequence[document.Line]) -> list[str]:
    """Return a table under its sentence, nothing where it has no line."""
    return [part for part in (sentence, markdown.markdown_table(found)) if part] if found else []


def _chosen(group: Group) -> str:
    """Return what the table of the other selection rule is, and what it is not."""
    return (
        f"The test {WHERE}, in place of the last epoch; each arm at its own best point, never one of S. Beside "
        f"the primary result, which it does not decide; gains in {headings.metric_name(group.metric, group)}:"
    )


def _links(row: str) -> str:
    return f"All gains: [Markdown](tables/{row}.md), [CSV](tables/{row}.csv), [LaTeX](tables/{row}.tex)."


def _introduction(group: Group) -> str:
    text, row = wording.INTRODUCTIONS[group.section], group.paper
    if row and group.section == "paper" and not group.comparable:
        text = (
            "The paper's figures are for other data, or all of it: not comparable. Not of the plan, hence no verdict."
        )
    if row and any(not figure.verified for cells in row.stages.values() for figure in cells.values()):
        text += " *Unverified* figures are remembered, found in no source that we could read; nothing rests on them."
    return text


def _verdict(group: Group, answered: Mapping[str, Row]) -> str:
    """Return the primary figure and what it answers."""
    primary, row = summary.primary(group), answers.row_of(group, answered)
    standing = answers.standing(group, answered)
    if primary is None:
        return f"DSD over control: {summary.missing(group)}, hence neither a gain nor a verdict."
    text = f"DSD over control, {headings.metric_name(group.metric, group)}: {formatting.gain(group)}, n = {primary.n}"
    text += f" of {row.wanted.seeds} planned" if row else ""
    if not group.quotable:
        return f"{'SYNTHETIC. ' if group.synthetic else ''}{text}. Verdict: {standing}."
    text = f"**{text}. Verdict: {standing}.**"
    if row is None or row.lacks is not None:
        return text
    answer, share, points = row.answer, 100 * row.claim.share, f"{row.claim.points:+.2f}"
    assert answer.p is not None
    assert answer.p_holm is not None
    text += f" p {_p(answer.p)}, Holm-adjusted over the {len(answered)} planned rows {_p(answer.p_holm)}."
    if found := answer.share:
        shares = [100 * value for value in (found.share, found.low, found.high, found.lower, found.upper)]
        text += (
            f" As a share of the control {formatting.number(shares[0], True)} % {formatting.ends(*shares[1:3])}, with one-sided "
            "bounds "
            f"{formatting.ends(*shares[3:])}; the paper's claim is {points} points, {share:.1f} %."
        )
    return text


def _p(value: float) -> str:
    text = formatting.p_value(value)
    return text if text.startswith("<") else f"= {text}"
