"""The files of a results folder, rendered from its records: written, or compared with what is there."""

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
from benchmarks.reporting.tables import planned
from benchmarks.rows import ROWS
from tasks.cache import write_whole

_BEGIN, _END = "<!-- results:begin -->", "<!-- results:end -->"
_SUFFIXES = (".md", ".csv", ".tex")


def render(records: Sequence[Record]) -> dict[str, str]:
    """Return file name (relative to the results folder) to content."""
    found = results(records)
    places = _places(found)

    def page(document: Document, name: str) -> str:
        return f"{GENERATED}\n\n{markdown(document, name, places)}\n"

    files = {"README.md": page(pages.readme(found), "README.md")}
    if records:
        files["tables/arms.md"] = page(pages.arms_page(found), "tables/arms.md")
        documents = {"overview": pages.overview_page(found)} | {row: pages.row_page(row, found) for row in found.names}
        for name, document in documents.items():
            files[f"tables/{name}.md"] = page(document, f"tables/{name}.md")
            files |= {f"tables/{name}.csv": csv(document), f"tables/{name}.tex": latex(document)}
    return files


def headline(records: Sequence[Record]) -> str:
    """Return a few sentences and one table of the planned rows, for a README at the root of the repository."""
    found = results(records)
    return markdown(planned.headline(found.groups, found.rows), "../README.md", _places(found))


def _places(found: Results) -> Places:
    """Return where the pages list the trials: on the page of the row, group by group."""
    numbered = [(row, *one) for row in found.names for one in enumerate(found.of(row), start=1)]
    trials = {one.id: f"tables/{row}.md#t{number}" for row, number, group in numbered for one in group.everything}
    return Places(trials, "tables/overview.md")


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
    wrong |= {f"figures/{name}" for name in figure_files.stale(out / "figures", records)}
    return sorted(wrong | (_present(out) - set(files)))


def refuse_foreign(path: Path) -> None:
    """Refuse to replace a page that does not start as every generated one does.

    Raises:
        ValueError: it does not.
    """
    if path.suffix == ".md" and path.exists() and not path.read_bytes().startswith(GENERATED.encode()):
        raise ValueError(
            f"{path} was not made by this suite, and is left as it is: give results another folder (--out)"
        )


def _present(out: Path) -> set[str]:
    """Return the files in `out`/tables that could have been made here; any other is somebody else's."""
    known = {f"{name}{suffix}" for name in (*paper.ROWS, *ROWS, "overview", "arms") for suffix in _SUFFIXES}
    return {f"tables/{path.name}" for path in (out / "tables").glob("*") if path.name in known}


def publish(out: Path) -> tuple[list[Record], int]:
    """Write tables, figures and, for the checkout's own results, the headline in its README.

    Return the records and the number of figures. Runs that end at once in one folder do it one after another.
    """
    with FileLock(out / "records" / ".lock"):  # not beside the tables: of a bad record nothing is made
        found = store.read_all(out / "records")
        write(out, found)
        front = front_page(out)
        if front is not None:
            write_whole(front, with_headline(front, found).encode())
        return found, len(figure_files.write(out, found))


def records_folder(folder: Path) -> Path:
    """Return `folder`.

    Raises:
        ValueError: it is not a folder called records.
    """
    if folder.name != "records" or not folder.is_dir():
        raise ValueError(f"--records {folder}: expected a folder called records; what is made is written beside it")
    return folder


def front_page(out: Path) -> Path | None:
    """Return the README that shows the headline of the results in `out`; None where they are not the checkout's own."""
    return ROOT / "README.md" if out.resolve() == ROOT / "results" else None


def with_headline(front: Path, found: list[Record]) -> str:
    """Return the text of the page `front` with the present headline."""
    return embed(front.read_text(encoding="utf-8"), headline(found))
