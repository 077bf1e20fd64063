"""Every table of the results, as a pure function of the records: the door to the modules that make them.

The files of a results folder are whatever `render` returns, byte for byte, so that `check` finds a table that was
edited by hand or not made again.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Group as Renderables
from rich.table import Table
from rich.text import Text

from benchmarks import (
    answers,
    export,
    figures,
    iterations,
    lines,
    lines_beside,
    overview,
    pages,
    paper,
    planned,
    sensitivity,
    summary,
)
from benchmarks import render as text
from benchmarks.answers import Row
from benchmarks.group import Group, group_records
from benchmarks.record import Record
from benchmarks.registry import ROWS

__all__ = ["check", "embed", "headline", "refuse_foreign", "render", "terminal", "write"]

_WIDTH = 64  # columns that the table in the terminal takes at least, and its title at most
_LABEL = 14  # of those, what the longest of our own arms' names takes
_BEGIN, _END = "<!-- results:begin -->", "<!-- results:end -->"
_SUFFIXES = (".md", ".csv", ".tex")


def render(records: Sequence[Record]) -> dict[str, str]:
    """Return file name (relative to the results folder) to content."""
    groups = group_records(records)
    answered = answers.rows(groups)
    files = {"README.md": pages.readme(records)}
    if records:
        files["tables/overview.md"] = pages.overview_page(groups)
        files["tables/overview.csv"] = export.overview_csv(groups, answered)
        files["tables/overview.tex"] = text.latex(overview.blocks(groups))
    for row in pages.rows(records):
        chosen = [group for group in groups if group.key.row == row]
        blocks = [block for group in chosen for block in lines.arm_blocks(group, pages.title(group))]
        for group in chosen:
            blocks += lines.iteration_blocks(group, pages.title(group))
            blocks += lines.gain_blocks(group, answered, pages.title(group))
            blocks += lines_beside.sensitivity_blocks(group, pages.title(group))
        files[f"tables/{row}.md"] = pages.row_page(row, records)
        files[f"tables/{row}.csv"] = export.csv(chosen, answered)
        files[f"tables/{row}.tex"] = text.latex(blocks)
    return files


def headline(records: Sequence[Record]) -> str:
    """Return a few sentences and one table of the planned rows, for a README at the root of the repository."""
    return planned.headline(group_records(records))


def embed(readme: str, content: str) -> str:
    """Return `readme` with `content` between the markers in place of what stood there.

    Raises:
        ValueError: the markers are not there once each, in order.
    """
    if readme.count(_BEGIN) != 1 or readme.count(_END) != 1 or readme.index(_BEGIN) > readme.index(_END):
        raise ValueError(f"the README must hold {_BEGIN} and then {_END}, once each")
    before, rest = readme.split(_BEGIN)
    return f"{before}{_BEGIN}\n{content.strip()}\n{_END}{rest.split(_END)[1]}"


def write(out: Path, records: Sequence[Record]) -> list[Path]:
    """Write every table into the results folder `out`, remove those of rows without records, return the paths.

    Raises:
        ValueError: a page in `out` was not made here; nothing is written.
    """
    files = render(records)
    for name in files:
        refuse_foreign(out / name)
    for stale in _present(out) - set(files):
        (out / stale).unlink()
    paths = []
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="\n")
        paths.append(path)
    return paths


def check(out: Path, records: Sequence[Record]) -> list[str]:
    """Return the names of the files in `out` that are missing, not what `records` give, or that do not belong."""
    files = render(records)
    wrong = {
        name
        for name, content in files.items()
        if not (out / name).is_file() or (out / name).read_bytes() != content.encode()
    }
    wrong |= {f"figures/{name}" for name in figures.stale(out / "figures", records)}
    return sorted(wrong | (_present(out) - set(files)))


def terminal(records: Sequence[Record], row: str) -> Renderables:
    """Return what to print at the end of a run, 80 columns wide: a table of `row` for each group."""
    groups = group_records(records)
    answered = answers.rows(groups)
    found = [group for group in groups if group.key.row == row]
    shortened = "it.: iteration.\n" if any(summary.count_iterations(group) > 1 for group in found) else ""
    rule = Text(f"Control: equal budget. {shortened}{text.SELECTION}", style="dim italic")
    return Renderables(*(_terminal(group, answered) for group in found), rule)


def _terminal(group: Group, answered: Mapping[str, Row]) -> Table:
    """Return the arms of one group, with gains and verdict."""
    title = [group.key.row, *textwrap.wrap(pages.title(group), _WIDTH)]
    # Text, not str, throughout: rich would read names of arms and data for markup.
    table = Table(title=Text("\n".join(title)), box=SIMPLE, padding=(0, 1, 0, 0), min_width=_WIDTH)
    stages = {_short(label): (label, cells) for label, cells in summary.stages(group).items()}
    longest = min(_LABEL, max(map(len, stages)))  # of ours, all of which fit: the verdict is rather broken than they
    table.add_column("arm", min_width=longest, max_width=20, overflow="fold")
    metric = text.metric_name(group.metric, group).replace(" (", "\n(")
    for heading in (f"test\n{metric}", "n", "gain over\nbaseline", "gain over\ncontrol"):
        table.add_column(Text(heading), justify="right", no_wrap=True)
    table.add_column("verdict", min_width=8)
    arms = {label: name for name, label in summary.LABELS.items()}
    middle = {
        f"DSD, {stage.name.split(', ')[1]}": stage for stage in iterations.stages(group) if stage.kind == "redense"
    }
    for short, (label, cells) in stages.items():
        arm, cell = arms.get(label), cells.get(group.metric)
        gain, over_control, verdict = text.NONE, text.NONE, ""
        if arm and arm != summary.DENSE and summary.over_baseline(group):
            gain = text.mean_sd(summary.compare(group, arm, summary.DENSE), signed=True)
        if arm == "dsd":
            over_control = text.gain(group).replace(" [", "\n[")
            verdict = answers.standing(group, answered)
        elif label in middle and middle[label].gain:
            over_control = text.interval(middle[label].gain).replace(" [", "\n[")
            verdict = "secondary"
        count = str(cell.n) if cell else "0"
        table.add_row(*(Text(part) for part in (short, text.mean_sd(cell), count, gain, over_control, verdict)))
    for one in sensitivity.choices(group):
        if one.arm not in summary.main_arms(group):
            over, standing = text.NONE, f"over control, {lines_beside.CONTROLS[one.over]}"
            if one.over == "control":  # else the control's own gain over the baseline is in no line
                over, standing = text.mean_sd(summary.compare(group, one.arm, summary.DENSE), signed=True), "secondary"
            gain = text.interval(one.gain).replace(" [", "\n[")
            line = (summary.label(one.arm), text.mean_sd(one.test), str(one.test.n), over, gain, standing)
            table.add_row(*map(Text, line))
    return table


def _short(label: str) -> str:
    return label.removesuffix(" (equal budget)").replace(", iteration", ", it.")


def refuse_foreign(path: Path) -> None:
    """Refuse to replace a page that does not start as every generated one does.

    Raises:
        ValueError: it does not.
    """
    if path.suffix == ".md" and path.exists() and not path.read_bytes().startswith(pages.GENERATED.encode()):
        raise ValueError(
            f"{path} was not made by this suite, and is left as it is: give results another folder (--out)"
        )


def _present(out: Path) -> set[str]:
    """Return the files in `out`/tables that could have been made here; any other is somebody else's."""
    known = {f"{name}{suffix}" for name in (*paper.ROWS, *ROWS, "overview") for suffix in _SUFFIXES}
    return {f"tables/{path.name}" for path in (out / "tables").glob("*") if path.name in known}
