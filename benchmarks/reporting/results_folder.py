"""Write the files of a results folder from its records, or compare them with the existing files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from benchmarks import ROOT, paper
from benchmarks.analysis.results import Results, results
from benchmarks.records import store
from benchmarks.records.schema import Record
from benchmarks.reporting import pages
from benchmarks.reporting.csv import csv
from benchmarks.reporting.document import Document, Places
from benchmarks.reporting.figures import files as figure_files
from benchmarks.reporting.latex import latex
from benchmarks.reporting.markdown import GENERATED, markdown
from benchmarks.rows import ROWS
from tasks.data.cache import write_whole

_BEGIN, _END = "<!-- results:begin -->", "<!-- results:end -->"
_SUFFIXES = (".md", ".csv", ".tex")


def render(records: Sequence[Record]) -> dict[str, str]:
    """Return a mapping from file name (relative to the results folder) to content."""
    found = results(records)
    places = _places(found)

    def page(document: Document, name: str) -> str:
        return f"{GENERATED}\n\n{markdown(document, name, places)}\n"

    files = {"README.md": page(pages.readme(found), "README.md")}
    if records:
        files["tables/arms.md"] = page(pages.arms_page(found), "tables/arms.md")
        documents = {name: pages.page(name, found) for name in pages.groups_by_page(found)}
        for name, document in (documents | {"overview": pages.overview_page(found)}).items():
            files[f"tables/{name}.md"] = page(document, f"tables/{name}.md")
            files |= {f"tables/{name}.csv": csv(document), f"tables/{name}.tex": latex(document)}
    return files


def headline(records: Sequence[Record]) -> str:
    """Return the answer with its figure and table, for the README at the repository root."""
    found = results(records)
    return markdown(pages.headline(found, brief=True), "../README.md", _places(found))


def _places(found: Results) -> Places:
    """Return the link targets of the trials: their page lists them by group."""
    numbered = [(name, *one) for name, groups in pages.groups_by_page(found).items() for one in enumerate(groups, 1)]
    trials = {one.id: f"tables/{name}.md#t{number}" for name, number, group in numbered for one in group.everything}
    return Places(trials, "tables/overview.md")


def embed(readme: str, content: str) -> str:
    """Return `readme` with the text between the markers replaced by `content`.

    Raises:
        ValueError: the markers do not occur exactly once each, in order.
    """
    if readme.count(_BEGIN) != 1 or readme.count(_END) != 1 or readme.index(_BEGIN) > readme.index(_END):
        raise ValueError(f"the README must contain {_BEGIN} and then {_END}, once each")
    before, rest = readme.split(_BEGIN)
    return f"{before}{_BEGIN}\n{content.strip()}\n{_END}{rest.split(_END)[1]}"


def write(out: Path, records: Sequence[Record]) -> list[Path]:
    """Write every table into the results folder `out`, remove tables of rows without records, and return the paths.

    Raises:
        ValueError: a page in `out` was not made by this suite; nothing is written.
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
    """Return the names of files in `out` that are missing, differ from what `records` give, or do not belong there."""
    files = render(records)
    wrong = {
        name
        for name, content in files.items()
        if not (out / name).is_file() or (out / name).read_bytes() != content.encode()
    }
    wrong |= {f"figures/{name}" for name in figure_files.stale(out / "figures", records)}
    return sorted(wrong | (_present(out) - set(files)))


def refuse_foreign(path: Path) -> None:
    """Refuse to replace a page that this suite did not generate.

    Raises:
        ValueError: the page does not start with the line of generated pages.
    """
    if path.suffix == ".md" and path.exists() and not path.read_bytes().startswith(GENERATED.encode()):
        raise ValueError(
            f"{path} was not made by this suite and is left unchanged: choose another folder for results (--out)"
        )


def _present(out: Path) -> set[str]:
    """Return the files in `out`/tables that this suite could have made. Others are left alone."""
    known = {
        f"{name}{suffix}"
        for name in (*paper.ROWS, *ROWS, "overview", "arms", pages.SMOKE, pages.SUPERSEDED)
        for suffix in _SUFFIXES
    }
    return {f"tables/{path.name}" for path in (out / "tables").glob("*") if path.name in known}


def publish(out: Path) -> tuple[list[Record], int]:
    """Write tables and figures and, for the checkout's own results, the headline in its README.

    Return the records and the number of figures. A lock serialises runs that finish at the same time in one folder.
    """
    with FileLock(out / "records" / ".lock"):  # in an existing folder: if a record is bad, nothing else is created
        found = store.read_all(out / "records")
        write(out, found)
        front = front_page(out)
        if front is not None:
            write_whole(front, with_headline(front, found).encode())
        return found, len(figure_files.write(out, found))


def records_folder(folder: Path) -> Path:
    """Return `folder` after checking it.

    Raises:
        ValueError: it is not a folder called records.
    """
    if folder.name != "records" or not folder.is_dir():
        raise ValueError(f"--records {folder}: expected a folder called records; output is written beside it")
    return folder


def front_page(out: Path) -> Path | None:
    """Return the README that shows the headline of `out`; None unless `out` is the checkout's own results folder."""
    return ROOT / "README.md" if out.resolve() == ROOT / "results" else None


def with_headline(front: Path, found: list[Record]) -> str:
    """Return the text of the page `front` with the current headline."""
    return embed(front.read_text(encoding="utf-8"), headline(found))
