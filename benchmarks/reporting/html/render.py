"""The Markdown pages as HTML: the same words and numbers, with figures in place, and cells that lead to their trials."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import PurePosixPath

from markdown_it import MarkdownIt
from markdown_it.token import Token

from benchmarks.analysis import label_noise, samples
from benchmarks.analysis.groups import Group
from benchmarks.reporting import group_names, pages, wording

_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_NUMBER = re.compile(r"(UNEQUAL epochs: )?\[?[+-]?\d|< 0\.")
_PAPERS = re.compile(r"(the )?paper")  # the headings of what is the paper's own
_OfLine = Callable[[int, int, list[str]], Group | None]
"""Number of a table in a part of the text, number of a line in it, both from zero, and its cells, to the group it is of."""

_UNLINKED = {"record", "picture", "utterance"}
"""First headings of tables whose cells are no figures of several trials."""


@dataclass(frozen=True)
class Place:
    """What the text of the pages stands among.

    `figures` are name to `<svg>`; `groups` all groups of the results in their order, whose place in it numbers their
    anchors; `details` are id of record to HTML that says how it came about.
    """

    figures: Mapping[str, str]
    groups: Sequence[Group]
    details: Mapping[str, str]

    def number(self, group: Group) -> int:
        """Return the number in the group's anchors."""
        return next(k for k, one in enumerate(self.groups) if one is group)


def top(text: str, rows: Sequence[str], place: Place) -> str:
    """Return what results/README.md says before it comes to single rows, its title left out."""
    tokens = _parsed(text)
    headings = [k for k, one in enumerate(tokens) if one.type == "heading_open" and one.tag == "h2"]
    titles = {k: tokens[k + 1].content for k in headings}
    cut = next(
        (k for k, of in titles.items() if of in rows or of.endswith("row by row") or of.startswith("Failed trials")),
        len(tokens),
    )
    for token in tokens:
        token.tag = "h3" if token.tag == "h2" else token.tag
    return _html(tokens[3:cut], place, "Results", None)


def row_page(text: str, row: str, place: Place) -> str:
    """Return the page of a row from its first group on: a part of the page for every group, folded up where it is no result."""
    tokens = _parsed(text.replace(wording.RULE, "", 1))  # the top of the page has it
    groups = [group for group in place.groups if group.key.row == row]
    starts = [k for k, one in enumerate(tokens) if one.type == "heading_open" and one.tag in ("h2", "h3")]
    parts = [_html(tokens[3 : starts[0] if starts else len(tokens)], place, row, None)]
    for start, end in zip(starts, [*starts[1:], len(tokens)], strict=True):
        heading, body = tokens[start + 1], tokens[start + 3 : end]
        group = next((one for one in groups if heading.content == f"{row}: {group_names.title(one)}"), None)
        title = f"<h3>{escape(_text(heading))}</h3>"
        if group is None:
            of_line = _of_noise(row, place) if heading.content == pages.noise_heading(row) else None
            parts.append(f"<section>{title}{_html(body, place, _text(heading), None, of_line)}</section>")
            continue
        groups.remove(group)
        number, inner = place.number(group), _html(body, place, _text(heading), group)
        if group.quotable:
            parts.append(f'<section class="group" id="group-{number}">{title}{inner}</section>')
        else:
            parts.append(f'<details class="group" id="group-{number}"><summary>{title}</summary>{inner}</details>')
    return "\n".join(parts)


def sentences(text: str, place: Place) -> str:
    """Return a piece of Markdown, such as the headline with its table."""
    return _html(_parsed(text), place, "Headline", None)


def _parsed(text: str) -> list[Token]:
    return _PARSER.parse(text.removeprefix(pages.GENERATED))


def _html(
    tokens: Sequence[Token], place: Place, title: str, group: Group | None, of_line: _OfLine | None = None
) -> str:
    found: list[Token] = []
    rest = iter(tokens)
    tables = 0
    known = {(group_names.name(one), group_names.where(one, place.groups)): one for one in place.groups}
    of_line = of_line or (lambda table, line, cells: known.get((cells[0], cells[1])) if len(cells) > 1 else None)
    for token in rest:
        if token.type == "table_open":
            tables += 1
            table = [token, *_until(rest, "table_close")]
            found += _table(table, f"{title}, table {tables}", place, group, functools.partial(of_line, tables - 1))
        elif token.type == "inline" and token.children and [c.type for c in token.children] == ["image"]:
            found[-1:] = [_raw(_figure(token.children[0], place))]
            next(rest)  # of the paragraph that held it
        else:
            found.append(_plain(token))
    return str(_PARSER.renderer.render(found, _PARSER.options, {}))


def _until(tokens: Iterator[Token], kind: str) -> Iterator[Token]:
    for token in tokens:
        yield token
        if token.type == kind:
            return


def _raw(html: str) -> Token:
    return Token("html_block", "", 0, content=html)


def _plain(token: Token) -> Token:
    """Return the token with links as seen from the results folder, and the words of a picture in its place."""
    for number, child in enumerate(token.children or []):
        if child.type == "image":  # whoever wrote it: nothing is fetched
            token.children[number] = Token("text", "", 0, content=child.content)  # type: ignore[index]
        if child.type == "link_open":
            child.attrSet("href", str(child.attrGet("href")).removeprefix("../").removeprefix("results/"))
    return token


def _figure(image: Token, place: Place) -> str:
    name, words = PurePosixPath(str(image.attrGet("src"))).stem, escape(image.content)
    if name in place.figures:
        svg = place.figures[name].replace("<svg", f'<svg role="img" aria-label="{words}"', 1)
        return (
            f'<figure><div class="scroll" role="region" tabindex="0" aria-label="Figure: {words}">{svg}</div>'
            f"<figcaption>{words}</figcaption></figure>"
        )
    if name.endswith(tuple(f"-{form.kind}" for form in samples.FORMS)):
        return f'<p><a href="#viewer">{words}: all test examples in the viewer</a></p>'
    return f"<p>{words}</p>"


def _table(
    tokens: Sequence[Token],
    title: str,
    place: Place,
    group: Group | None,
    of_line: Callable[[int, list[str]], Group | None],
) -> list[Token]:
    """Return a table in a frame that scrolls, each of its numbers a link to the trials that it is of."""
    headings = [_text(tokens[k + 1]) for k, one in enumerate(tokens) if one.type == "th_open"]
    is_records, column, line, of = headings[0] == "record", 0, -1, group
    kind = "words" if headings[0] in _UNLINKED - {"record"} else "numbers records" if is_records else "numbers"
    anchor = f' id="trials-{place.number(group)}"' if is_records and group else ""
    label = escape(title)
    found = [
        _raw(f'<div class="scroll {kind}"{anchor} role="region" tabindex="0" aria-label="{label}">'),
        tokens[0],
        _raw(f"<caption>{label}</caption>"),
    ]
    for k, token in enumerate(tokens[1:], start=1):
        if token.type in ("th_open", "td_open"):
            token.attrs = {"scope": "col"} if token.type == "th_open" else {}  # no alignment of its own
        if token.type == "tr_open":
            column = -1
            line += 1  # that of the headings is none
            if group is None and line:
                row = _until(iter(tokens[1:][k:]), "tr_close")
                of = of_line(line - 1, [_text(one) for one in row if one.type == "inline"])
        if token.type in ("td_open", "th_open"):
            column += 1
        if token.type == "td_open" and column == 0:
            token.tag, token.attrs = "th", {"scope": "row"}
        if token.type == "td_close" and column == 0:
            token.tag = "th"
        if token.type == "inline" and tokens[k - 1].type == "td_open" and of and headings[0] not in _UNLINKED:
            _link(token, headings[column], column, place.number(of), own=group is not None)
        found.append(_plain(token))
    found.append(_raw("</div>"))
    if is_records and group:
        found += [_raw(place.details[one.id]) for one in group.everything]
    return found


def _of_noise(row: str, place: Place) -> _OfLine:
    """Return what the lines of a row's two tables for each check against wrong labels are of."""
    checks = [[level.group for level in levels] for levels in label_noise.checks(place.groups, row)]
    orders = [order for groups in checks for order in (groups, [one for one in groups for _ in range(2)])]
    return lambda table, line, cells: orders[table][line]


def _link(cell: Token, heading: str, column: int, number: int, own: bool) -> None:
    """Make the cell a link: to the trials, or from an overview's line to its group. Of the numbers the tab key finds n alone."""
    text = _text(cell)
    attributes: dict[str, str | int | float] = {}
    if column == 0 and not own:
        attributes["href"] = f"#group-{number}"
    elif column and heading != "data" and _NUMBER.match(text) and not _PAPERS.match(heading):
        attributes["href"] = f"#trials-{number}"
        if heading != "n":
            attributes["tabindex"] = "-1"
    else:
        return
    opened = Token("link_open", "a", 1, attrs=attributes)
    cell.children = [opened, *(cell.children or []), Token("link_close", "a", -1)]


def _text(inline: Token) -> str:
    return "".join(one.content for one in inline.children or [])
