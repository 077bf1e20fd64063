"""Every table of the results, as a pure function of the records: the door to the modules that make them.

The files of a results folder are whatever `render` returns, byte for byte, so that `check` finds a table that was
edited by hand or not made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from benchmarks import export, pages, record, summary
from benchmarks import render as text
from benchmarks.group import group_records
from benchmarks.pages import embed, headline
from benchmarks.record import Record

__all__ = ["check", "embed", "headline", "load", "render", "terminal", "write"]

_SUFFIXES = (".md", ".csv", ".tex")


def load(folder: Path) -> list[Record]:
    """Return the records of a results folder, or of the folder of records itself.

    Raises:
        ValueError: one of them cannot be read.
    """
    return record.read_all(folder / "records" if (folder / "records").is_dir() else folder)


def render(records: Sequence[Record]) -> dict[str, str]:
    """Return file name (relative to the results folder) to content."""
    groups = group_records(records)
    adjusted = summary.holm(groups)
    files = {"README.md": pages.readme(records)}
    if records:
        files["tables/overview.md"] = pages.overview_page(groups)
        files["tables/overview.csv"] = export.overview_csv(groups, adjusted)
        files["tables/overview.tex"] = text.latex(text.overview(groups))
    for row in pages.rows(records):
        chosen = [group for group in groups if group.key.row == row]
        blocks = [text.stage_block(group, pages.title(group)) for group in chosen]
        blocks += [text.gain_block(group, adjusted.get(group.key), pages.title(group)) for group in chosen]
        files[f"tables/{row}.md"] = pages.row_page(row, records)
        files[f"tables/{row}.csv"] = export.csv(chosen, adjusted)
        files[f"tables/{row}.tex"] = text.latex(blocks)
    return files


def write(out: Path, records: Sequence[Record]) -> list[Path]:
    """Write every table into the results folder `out`, remove those of rows without records, return the paths."""
    files = render(records)
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
    # Pictures are only looked for: their bytes depend on the version of the font library.
    pictures = {f"figures/{name}" for name in summary.figure_names(group_records(records))}
    wrong |= {name for name in pictures if not (out / name).is_file()}
    return sorted(wrong | (_present(out) - set(files)))


def terminal(records: Sequence[Record], row: str) -> Table:
    """Return what to print at the end of a run: the arms of `row` in each of its groups, the gain and the verdict."""
    chosen = [group for group in group_records(records) if group.key.row == row]
    title = f"{row}: {pages.title(chosen[0])}" if len(chosen) == 1 else row
    table = Table(title=escape(title), caption=text.SELECTION)
    metric = text.metric_name(chosen[0].metric, chosen[0]) if chosen else ""
    for heading in ("arm", f"test {metric}", "n", "gain over baseline", "verdict"):
        table.add_column(heading, justify="left" if heading in ("arm", "verdict") else "right")
    for group in chosen:
        table.add_section()
        if len(chosen) > 1:
            table.add_row(escape(pages.title(group)), style="bold")
        labels = {label: name for name, label in summary.LABELS.items()}
        for label, cells in summary.stages(group).items():
            cell = cells[group.metric]
            over = summary.compare(group, labels[label], summary.DENSE) if label in labels else None
            gain = text.NONE if labels.get(label) == summary.DENSE else text.mean_sd(over, signed=True)
            table.add_row(label, text.mean_sd(cell), str(cell.n), gain, "")
        primary = summary.primary(group)
        if primary:
            table.add_row("DSD over control", text.interval(primary), str(primary.n), "", summary.verdict(group))
    return table


def _present(out: Path) -> set[str]:
    return {f"tables/{path.name}" for path in (out / "tables").glob("*") if path.suffix in _SUFFIXES}
