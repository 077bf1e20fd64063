"""The report: one self-contained HTML page of all results, a pure function of records and outputs.

It has the same text as the Markdown pages, plus the figures, the provenance of every record, and a viewer of all captions and
transcripts. It loads nothing: its content security policy forbids it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.analysis.results import results
from benchmarks.records import outputs
from benchmarks.records.schema import Record
from benchmarks.reporting import pages
from benchmarks.reporting.document import Places
from benchmarks.reporting.html import svg, viewer
from benchmarks.reporting.html.render import ENVIRONMENT, TRIALS, Place, html
from tasks.data.cache import write_whole

LIMIT: Final = 5_000_000
"""Maximum size of a page in bytes."""
_FOLDER = Path(__file__).parent


def write(path: Path, records: Sequence[Record], folder: Path) -> int:
    """Write the page to `path` atomically and return its size in bytes (see `page`)."""
    content = page(records, folder).encode()
    write_whole(path, content)
    return len(content)


def page(records: Sequence[Record], folder: Path) -> str:
    """Return the page. The same records and outputs give the same text.

    Args:
        records: all records of a results folder, in any order.
        folder: the folder of outputs files. If a trial's file is missing, the viewer shows the samples in its record.

    Raises:
        ValueError: an outputs file does not match its record, or the page is too large even without outputs.
    """
    altered = outputs.altered(folder, {one.id: one.outputs for one in records})
    if altered:
        raise ValueError(f"{altered[0]}: its SHA-256 differs from the one in its record")
    found = results(records)
    groups = found.groups
    states = {name: state.partition(":")[0] for group in groups for name, state in group.states.items()}
    story = ENVIRONMENT.get_template("record.html")
    details = {one.id: story.render(record=one, state=states.get(one.id)) for one in records}
    failed = {
        name: [details[one.id] for one in found.failed if one.row == name] for name in pages.groups_by_page(found)
    }
    numbers = {record.id: f"{TRIALS}{number}" for number, group in enumerate(groups) for record in group.everything}
    place = Place(svg.as_svg(records), Places(numbers, "#overview", "#record-"), details)
    script = (_FOLDER / "viewer.js").read_text(encoding="utf-8")
    parts = {
        "style": (_FOLDER / "style.css").read_text(encoding="utf-8"),
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "answer": html((*pages.headline(found), *pages.resolving(found)), place, "Answer"),
        "overview": html(pages.overview_page(found), place, "All results"),
        "pages": {name: html(pages.page(name, found), place, name) for name in pages.groups_by_page(found)},
        "arms": html(pages.arms_page(found), place, "Arms") if records else "",
        "failed": failed,
    }
    template = ENVIRONMENT.get_template("template.html")
    words = viewer.trials(groups, folder)
    room = LIMIT - len(template.render(parts, trials=[], left_out=words).encode())
    if room < 0:
        raise ValueError(f"the report of {len(records)} records takes {LIMIT - room:,} bytes, more than {LIMIT:,}")
    shown = _fitting(words, room)
    return template.render(parts, trials=shown, left_out=[one for one in words if one not in shown])


def _fitting(found: Sequence[viewer.Trial], room: int) -> list[viewer.Trial]:
    """Return as many of the first trials as fit in `room` bytes, sorted by row and seed."""
    shown = []
    for one in found:
        room -= len(one.packed) + 500  # 500 bytes for its other fields
        if room < 0:
            break
        shown.append(one)
    order = {(one.row, one.group): k for k, one in reversed(list(enumerate(found)))}
    return sorted(shown, key=lambda one: (order[one.row, one.group], one.seed))
