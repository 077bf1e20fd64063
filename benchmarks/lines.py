"""The lines of the tables of one group: its arms, iterations, gains, NeuralTalk's choice, first updates, samples.

Those of sensitivity and of label noise are in `lines_beside`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from benchmarks import answers, errors, iterations, metrics, samples, selection, summary
from benchmarks.answers import Row
from benchmarks.group import Group
from benchmarks.paper import Row as Published
from benchmarks.registry import SENSITIVITY
from benchmarks.render import (
    COMPARISONS,
    INTRODUCTIONS,
    NONE,
    Block,
    ends,
    frame,
    gain,
    interval,
    mean_sd,
    metric_name,
    number,
    p_value,
    paper_cell,
    paper_heading,
)
from benchmarks.summary import LABELS, Cell

Line = dict[str, str]


def arm_blocks(group: Group, title: str) -> list[Block]:
    """Return the arms of one group as tables of their own, one for each family of metrics."""
    return [
        _block(group, f"{metrics.heading(of)}: {title}", stage_lines(group, of), metrics.sentence(of, group.metric))
        for of in metric_families(group)
    ]


def gain_blocks(group: Group, rows: Mapping[str, Row], title: str) -> list[Block]:
    """Return the paired gains of one group as a table of its own, then NeuralTalk's choice; those that have a line."""
    gains, chosen = gain_lines(group, rows), selection_lines(group)
    blocks = []
    if gains:  # none where the trials have neither DSD nor control
        blocks.append(_block(group, f"Paired gains in {metric_name(group.metric, group)}: {title}", gains))
    if chosen:
        blocks.append(_block(group, f"Arms {selection.WHERE}: {title}", chosen))
    return blocks


def iteration_blocks(group: Group, title: str) -> list[Block]:
    """Return the iterations of one group as a table of its own; none where the recipe has one."""
    found = iteration_lines(group)
    heading = f"By iteration, {metric_name(group.metric, group)}: {title}"
    return [_block(group, heading, found, iteration_sentence(group))] if found else []


def metric_families(group: Group) -> list[str]:
    """Return the families of metrics that the group has, one table each, the main one first."""
    return metrics.families(name for cells in summary.stages(group).values() for name in cells)


def stage_lines(group: Group, family: str = "") -> list[Line]:
    """Return the arms of one group with every metric of a family, the paper's figures beside them."""
    row, count = group.paper, summary.count_iterations(group)
    arms = {summary.label(name): name for name in summary.main_arms(group) if name != "control"}
    # Means of arms of unlike seeds do not compare; these gains do.
    over_control = {label: gain(group, arm, "control") for label, arm in arms.items()}
    lines = []
    found = {label: _of_family(cells, family) for label, cells in summary.stages(group).items()}
    names = metrics.ordered({metric for cells in found.values() for metric in cells})
    for label, cells in found.items():
        if not cells:
            continue
        line = {"arm": label}
        line |= {metric_name(m, group, True): mean_sd(cells.get(m), digits=metrics.digits(m)) for m in names}
        line["n"] = str(max(cell.n for cell in cells.values()))
        if not family and set(over_control.values()) - {NONE}:
            line["gain over control, paired"] = over_control.get(label, NONE)
        if row:
            for metric in names:
                ours = row.metric if metric == group.metric else metric
                if ours in row.stages["Baseline"]:
                    heading = f"{paper_heading(group)}: {metric_name(metric, group, True)}"
                    line[heading] = paper_cell(row.figure(label, ours, count))
        lines.append(line)
    return lines


def gain_lines(group: Group, rows: Mapping[str, Row]) -> list[Line]:
    """Return the paired gains of one group; only the first, the primary figure, carries a verdict.

    The gain over the baseline is left out where the control's, which stands under it, cannot be told.
    """
    lines = []
    row = answers.row_of(group, rows)
    for arm, over, metric in (
        *((*pair, None) for pair in COMPARISONS),
        *(("dsd", "control", m) for m in _variants(group)),
    ):
        paired = summary.compare(group, arm, over, metric)
        if paired is None or ((arm, over) == ("dsd", summary.DENSE) and not summary.over_baseline(group)):
            continue
        primary = (arm, over, metric) == (*COMPARISONS[0], None)
        label = f"{LABELS[arm]} over {LABELS[over].lower() if over != 'llr' else 'LLR'}"
        label = f"DSD over control, {metrics.label(metric)}" if metric else label
        line = {"gain": label, "mean ± sd [95 % t interval over seeds]": interval(paired), "n": str(paired.n)}
        if group.section != "smoke":
            found = None if metric else summary.crossed(group, arm, over)
            line["95 % interval over seeds and test examples"] = ends(found.low, found.high) if found else NONE
            if group.quotable:
                line["p"] = p_value(found.p if found else None)
                line["p (Holm)"] = p_value(row.answer.p_holm if row else None) if primary else NONE
        line["verdict"] = answers.standing(group, rows) if primary else "secondary"
        lines.append(line)
    return lines


def iteration_lines(group: Group) -> list[Line]:
    """Return all arms at the end of every phase, gains at equal epochs, then the paper's unequal comparison.

    None where the recipe has one iteration.
    """
    row, found = group.paper, iterations.stages(group)
    lines = []
    for stage in found:
        line = {"after": stage.name, "epochs in all": f"{stage.epochs:g}"}
        line |= {
            summary.label(name): mean_sd(stage.tests[name]) for name in summary.main_arms(group) if name in stage.tests
        }
        line["gain over control, equal epochs"] = interval(stage.gain)
        line["n"] = str(stage.gain.n if stage.gain else max((cell.n for cell in stage.tests.values()), default=0))
        line |= {"p": p_value(stage.gain.p if stage.gain else None)} if group.quotable else {}
        line["standing"] = ("primary" if stage.last else "secondary") if stage.gain else NONE
        if row:
            published = row.stage(stage.kind, stage.iteration)
            line |= {f"the paper's, on {where}": _published(row, published, m) for m, where in row.sets.items()}
        lines.append(line)
    unequal = iterations.unequal(group)
    if unequal and row:
        line = {"after": "the paper's comparison", "epochs in all": " against ".join(f"{e:g}" for e in unequal.epochs)}
        line |= {LABELS["dsd"]: mean_sd(unequal.dsd), LABELS["control"]: mean_sd(unequal.control)}
        line |= {
            "gain over control, equal epochs": f"UNEQUAL epochs: {interval(unequal.gain)}",
            "n": str(unequal.gain.n),
        }
        line |= {"p": p_value(unequal.gain.p), "standing": "secondary, UNEQUAL budgets"}
        lines.append(
            line | {f"the paper's, on {where}": _published(row, "DSD", m, True) for m, where in row.sets.items()}
        )
    return lines


def iteration_sentence(group: Group) -> str:
    """Return what must be known to read the table of iterations."""
    text = (
        "All arms at the end of every phase, gains of DSD over control at equal epochs; after S a network is tested under "
        "its mask. Intervals and p are of t over seeds. The primary figure is the last line of equal epochs alone."
    )
    if group.key.start != "trained":
        text += " Epochs are those after the given dense start."
    unequal, row = iterations.unequal(group), group.paper
    if unequal and row:
        text += (
            " The paper's comparison is of UNEQUAL budgets: DSD after its last iteration with a baseline of fewer epochs, "
            f"here the control after iteration {unequal.iteration}. Its baseline is listed at one rate, D's; ours has DSD's rates."
        )
    if row and not row.same_data:
        text += f" The paper's figures are its own, on {' and '.join(row.sets.values())}: other data, not comparable."
    return text


def selection_lines(group: Group) -> list[Line]:
    """Return the arms at the best validation perplexity of their last phase; none where that was not measured."""
    found = {label: one for label, one in selection.choices(group).items() if label not in SENSITIVITY}
    measured = {metric for one in found.values() for metric in one.cells}
    names = metrics.ordered({m for m in measured if metrics.family(m) == ""} | {*_variants(group)} & measured)
    lines = []
    for label, one in found.items():
        line = {"arm": label}
        line |= {metric_name(m, group, True): mean_sd(one.cells.get(m), digits=metrics.digits(m)) for m in names}
        line["epoch, mean"] = f"{one.epoch:.1f} of {one.epochs:g}"
        line["gain over control"] = interval(one.gain)
        line["n"] = str(max(cell.n for cell in one.cells.values()))
        lines.append(line)
    return lines


def first_step_lines(group: Group) -> list[Line]:
    """Return the mean size of the first update of each phase, in learning rates, by arm."""
    found = summary.first_steps(group)
    longest = max((len(cells) for label, cells in found.items() if label != LABELS[summary.DENSE]), default=0)
    several = longest > 2
    lines = []
    for label, cells in found.items():
        after = [f"{('S', 'D2')[i % 2]}{f', iteration {i // 2 + 1}' if several else ''}" for i in range(longest)]
        shown = [f"{cell.mean:.3g}" for cell in cells]
        if label == LABELS[summary.DENSE]:
            line = {"arm": label, "D": shown[0]} | dict.fromkeys(after, NONE)
        else:
            line = {"arm": label, "D": NONE} | dict(zip(after, shown, strict=False))
        lines.append(line | {"n": str(max(cell.n for cell in cells))})
    return lines


def first_step_sentence(group: Group) -> str:
    """Return what the sizes of first updates mean, with RMSprop's trap where the recipe uses it."""
    text = "Mean size of the first update of each phase, in learning rates, over the weights that may move"
    rule = group.sample.recipe.get("optimizer")
    if isinstance(rule, dict) and rule.get("type") == "RmsProp":
        trap = 1 / math.sqrt(1 - rule["alpha"])
        text += (
            f" (RMSprop of decay {rule['alpha']:g} whose mean square started at zero would move a weight by anything from "
            f"zero up to {trap:.0f} learning rates)"
        )
    return f"{text}:"


def sample_lines(group: Group) -> list[Line]:
    """Return what the networks of the lowest seed say of a few test examples; none where the row has no such samples."""
    form = samples.form(group)
    if form is None:
        return []

    def said(text: str, reference: str) -> str:
        return (errors.markdown(errors.marked(reference, text)) if form.marked else text) or "(empty)"

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
    marks = f"; against the reference, words are {errors.LEGEND}" if form.marked else ""
    return f"{form.kind.capitalize()} of a few test {form.example}s after the last epoch, seed {record.seed}{marks}:"


def _block(group: Group, heading: str, lines: list[Line], sentence: str = "") -> Block:
    return Block(heading, f"{INTRODUCTIONS[group.section]} {sentence}".rstrip(), frame(lines))


def _published(row: Published, stage: str | None, metric: str, unequal: bool = False) -> str:
    """Return the paper's figure with its epochs in all and, where the paper compares it, its baseline and the gain."""
    figure = row.stages[stage].get(metric) if stage else None
    if figure is None or stage is None:
        return NONE
    text = f"{paper_cell(figure)} ({row.epochs[stage]} epochs)" if stage in row.epochs else paper_cell(figure)
    baseline = row.stages["Baseline"].get(metric)
    equal = stage == "DSD" if unequal else row.epochs.get(stage) == row.epochs.get("Baseline")
    if baseline and equal and row.epochs:
        gain = (baseline.value - figure.value) * (1 if row.lower_is_better else -1)
        text += f" against {paper_cell(baseline)} ({row.epochs['Baseline']}): {number(gain, True)}"
    return text


def _of_family(cells: dict[str, Cell], family: str) -> dict[str, Cell]:
    return {metric: cell for metric, cell in cells.items() if metrics.family(metric) == family}


def _variants(group: Group) -> list[str]:
    return metrics.variants({m for cells in summary.stages(group).values() for m in cells}, group.metric)
