"""The report: one HTML page of all results that needs nothing beside it, a pure function of records and outputs.

It says what the Markdown pages say, word for word, with the figures, the story of every record, and a viewer of what was said
of each test example. Nothing in it is fetched: its policy forbids even the browser to.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.analysis.results import results
from benchmarks.records import outputs
from benchmarks.records.schema import Record
from benchmarks.reporting import pages
from benchmarks.reporting.document import Places
from benchmarks.reporting.html import svg, viewer
from benchmarks.reporting.html.render import TRIALS, Place, html
from benchmarks.reporting.tables import planned
from tasks.cache import write_whole

LIMIT: Final = 5_000_000
"""Bytes that a page may take."""
_FOLDER = Path(__file__).parent


def write(path: Path, records: Sequence[Record], folder: Path) -> int:
    """Write the page to `path`, whole or not at all, and return how many bytes it has (see `page`)."""
    content = page(records, folder).encode()
    write_whole(path, content)
    return len(content)


def page(records: Sequence[Record], folder: Path) -> str:
    """Return the page: the same text for the same records and outputs.

    Args:
        records: all of a results folder, in any order of theirs.
        folder: of their files of outputs. Of a trial whose file is not there the viewer shows the samples in its record.

    Raises:
        ValueError: a file of outputs is not the one that its record was written with; without any of them the page is too large.
    """
    altered = outputs.altered(folder, {one.id: one.outputs for one in records})
    if altered:
        raise ValueError(f"{altered[0]} is not the file that its record was written with: another SHA-256")
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = results(records)
    groups, failed = found.groups, {row: [one.id for one in found.failed if one.row == row] for row in found.names}
    states = {name: state.partition(":")[0] for group in groups for name, state in group.states.items()}
    story = environment.get_template("record.html")
    details = {one.id: story.render(record=one, state=states.get(one.id)) for one in records}
    numbers = {record.id: f"{TRIALS}{number}" for number, group in enumerate(groups) for record in group.everything}
    place = Place(svg.as_svg(records), Places(numbers, "#overview"), details)
    script = (_FOLDER / "viewer.js").read_text(encoding="utf-8")
    parts = {
        "style": (_FOLDER / "style.css").read_text(encoding="utf-8"),
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "headline": html(planned.headline(groups, found.rows), place, "Headline"),
        "overview": html(pages.top(found), place, "Results"),
        # The top of the page has the rule.
        "rows": {
            row: html(tuple(one for one in pages.row_page(row, found) if one != pages.RULE), place, row)
            for row in found.names
        },
        "arms": html(pages.arms_page(found), place, "Arms") if records else "",
        "failed": {row: [details[one] for one in ids] for row, ids in failed.items()},
    }
    template = environment.get_template("template.html")
    words = viewer.trials(groups, folder)
    room = LIMIT - len(template.render(parts, trials=[], left_out=words).encode())
    if room < 0:
        raise ValueError(f"the report of {len(records)} records takes {LIMIT - room:,} bytes, more than {LIMIT:,}")
    shown = _fitting(words, room)
    return template.render(parts, trials=shown, left_out=[one for one in words if one not in shown])


def _fitting(found: Sequence[viewer.Trial], room: int) -> list[viewer.Trial]:
    """Return the first trials, as many as fit in `room` bytes, in the order of rows and seeds."""
    shown = []
    for one in found:
        room -= len(one.packed) + 500  # what names it in the page
        if room < 0:
            break
        shown.append(one)
    order = {(one.row, one.group): k for k, one in reversed(list(enumerate(found)))}
    return sorted(shown, key=lambda one: (order[one.row, one.group], one.seed))
