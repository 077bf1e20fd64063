"""DSD of several iterations: all arms at the end of every phase, beside the paper's comparison."""

from __future__ import annotations

from benchmarks.analysis import iterations, summary
from benchmarks.analysis.groups import Group
from benchmarks.analysis.summary import LABELS
from benchmarks.arms import registry
from benchmarks.paper import Row as Published
from benchmarks.reporting.document import Block, Line
from benchmarks.reporting.formatting import NONE, interval, mean_sd, number, p_value, paper_cell
from benchmarks.reporting.headings import metric_name
from benchmarks.reporting.tables.arms import block


def iteration_blocks(group: Group, title: str) -> list[Block]:
    """Return the iterations of one group as a table of its own; none where the recipe has one."""
    found = iteration_lines(group)
    heading = f"By iteration, {metric_name(group.metric, group)}: {title}"
    return [block(group, heading, found, iteration_sentence(group))] if found else []


def iteration_lines(group: Group) -> list[Line]:
    """Return all arms at the end of every phase, gains at equal epochs, then the paper's unequal comparison.

    None where the recipe has one iteration.
    """
    row, found = group.paper, iterations.stages(group)
    lines = []
    for stage in found:
        line = {"after": stage.name, "epochs in all": f"{stage.epochs:g}"}
        line |= {
            registry.label(name): mean_sd(stage.tests[name]) for name in summary.main_arms(group) if name in stage.tests
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
