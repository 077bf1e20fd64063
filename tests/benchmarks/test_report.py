"""The HTML report of made-up records, read with a parser in this file."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.analysis.groups import group_records
from benchmarks.analysis.results import results
from benchmarks.records import outputs, store
from benchmarks.records.schema import Record
from benchmarks.reporting import pages
from benchmarks.reporting.figures import names
from benchmarks.reporting.html import page as html_page
from benchmarks.reporting.html import svg as html_svg
from benchmarks.reporting.html import viewer
from tests import recount
from tests.benchmarks.test_tables import headline_of, pages_of
from tests.golden import build

SCRIPT = "<script>alert(1)</script>"
VOID = {"meta", "link", "input", "br", "hr", "img"}


class Page(HTMLParser):
    """Tags with their attributes, scripts and styles by content, tables as lists of lines of cells, all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.raw: list[tuple[str, str]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("th", "td"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            self.raw.append((self.open[-1], data))
            return
        self.text += data
        if "tr" in self.open and ("th" in self.open or "td" in self.open):
            self.tables[-1][-1][-1] += data

    def attributes(self, name: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(name)) is not None]

    def trials(self) -> list[tuple[dict[str, object], dict[str, list[object]]]]:
        packed = [attrs["data-packed"] for _, attrs in self.tags if "data-packed" in attrs]
        plain = [json.loads(text) for tag, text in self.raw if tag == "script" and text.startswith("{")]
        contents = [json.loads(gzip.decompress(base64.b64decode(one or ""))) for one in packed]
        return list(zip(plain, contents, strict=True))


def markdown_tables(text: str) -> list[list[list[str]]]:
    """Return the cells of every Markdown table, without marks."""
    found: list[list[list[str]]] = []
    before = ""
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [
                re.sub(r"[*~]|\[(.*?)\]\(records/.*?\)", r"\1", c.strip()) for c in re.split(r"(?<!\\)\|", line[1:-1])
            ]
            if not before.startswith("|"):
                found.append([])
            if not set("".join(cells)) <= set(":-"):
                found[-1].append([cell.replace("\\", "") for cell in cells])
        before = line
    return found


@pytest.fixture(scope="module")
def golden() -> list[Record]:
    """The golden records, one of which carries a script in a note and in a caption."""
    found = build.everything()
    hostile = found[0].model_copy(
        update={
            "recipe": found[0].recipe
            | {"notes": [SCRIPT, "![x](https://evil.example/x.png)", "[x](javascript:alert(1))"]},
            "command": SCRIPT,
        }
    )
    return [hostile.sealed(), *found[1:]]


@pytest.fixture(scope="module")
def html(golden: list[Record], tmp_path_factory: pytest.TempPathFactory) -> str:
    return html_page.page(golden, tmp_path_factory.mktemp("outputs"))


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_nothing_is_fetched(page: Page, html: str) -> None:
    assert len(html.encode()) < html_page.LIMIT
    assert page.open == []
    assert {tag for tag, _ in page.tags} & {"img", "iframe", "object", "embed", "base", "form"} <= {"form"}
    assert page.attributes("src") == []
    for tag, attrs in page.tags:
        for name in ("href", "xlink:href", "action", "data", "srcset", "poster"):
            address = attrs.get(name)
            if address and not address.startswith(
                ("#", "records/", "outputs/", "tables/", "data:,", "README.md", "../benchmarks/")
            ):
                assert (tag, name) == ("a", "href")
                assert address.startswith("https://arxiv.org/")
    assert not any(re.search(r"url\((?!#)|@import", text) for tag, text in page.raw if tag == "style")
    assert not re.search(r"url\((?!#)", html)
    assert not re.search(
        r"fetch\(|XMLHttpRequest|import\(", next(t for tag, t in page.raw if tag == "script" and "{\n" in t)
    )


def test_its_policy_lets_no_script_run_but_its_own(page: Page) -> None:
    (policy,) = (a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    (own,) = (text for tag, text in page.raw if tag == "script" and not text.startswith("{"))
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert f"script-src 'sha256-{digest}';" in policy


def test_words_of_a_record_stay_words(page: Page, html: str) -> None:
    assert SCRIPT not in html
    assert page.text.count(SCRIPT) == 3  # the note, and twice the command
    assert "javascript:" not in "".join(page.attributes("href"))
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_numbers_are_those_of_the_markdown_pages(page: Page, golden: list[Record]) -> None:
    groups, files, headline = group_records(golden), pages_of(golden), headline_of(golden)
    expected = markdown_tables(headline) + markdown_tables(files["tables/overview.md"])
    assert page.tables[: len(expected)] == expected
    # The answer has seven planned rows. One of them has trials, so it has a line of secondary gains and one of scores. Three
    # groups are at paper scale.
    others = [one for one in groups if one.section in ("custom", "small")]
    assert sum(len(table) - 1 for table in expected) == 7 + 1 + 1 + 3 + len(others)
    for name in pages.groups_by_page(results(golden)):
        text = files[f"tables/{name}.md"].replace("../records/", "records/")
        assert [table for table in markdown_tables(text) if table not in page.tables] == []
    assert recount.plain(headline.splitlines()[0]) in page.text


def test_every_record_and_figure_is_there_and_every_link_leads_somewhere(page: Page, golden: list[Record]) -> None:
    links, anchors = page.attributes("href"), page.attributes("id")
    assert len(anchors) == len(set(anchors))
    assert {link[1:] for link in links if link.startswith("#")} <= set(anchors)
    assert {link for link in links if link.startswith("records/")} == {f"records/{one.id}.json" for one in golden}
    assert {f"record-{one.id}" for one in golden} <= set(anchors)
    for one in golden:
        assert one.command in page.text
        assert one.content_hash in page.text
    labels = [attrs["aria-label"] or "" for tag, attrs in page.tags if tag == "svg"]
    assert labels[:1] == [names.SHARED[names.GAINS]]
    assert len(set(labels)) > 4
    assert sum(
        label.endswith(": training loss, test metric and gain over the control by epoch") for label in labels
    ) == len(group_records(golden))


def test_numbers_of_ours_lead_to_their_trials(html: str, golden: list[Record]) -> None:
    groups = group_records(golden)
    (number,) = (k for k, one in enumerate(groups) if one.key.row == "imagenet_resnet18" and one.section == "regime")
    name = "ResNet-18, width 1/4, 64 pixels"
    line = next(line for line in html.split("<tr>") if f">{name}</a>" in line and "5 of 5" in line)
    assert f'<a href="#group-{number}">{name}</a>' in line
    assert f'<a href="#trials-{number}" tabindex="-1">+1.00 [+0.43, +1.57]</a>' in line
    assert f'<a href="#trials-{number}">5 of 5</a>' in line
    assert f'<a href="#trials-{number}">+1.00 [+0.43, +1.57]</a>, n = 5 of 5 planned' in html  # in a sentence
    assert re.search(r"<td[^>]*>31\.5 to 27\.2 top-1 error %, ImageNet: [^<]*</td>", html)


def test_a_number_of_a_single_trial_leads_to_its_record(page: Page, html: str, golden: list[Record]) -> None:
    (record,) = (one for one in golden if one.row == "imagenet_vgg16")
    assert f'<a href="#record-{record.id}" tabindex="-1">+1.50</a>' in html
    assert f"record-{record.id}" in page.attributes("id")


def test_a_share_of_the_data_is_no_number_of_ours(tmp_path: Path) -> None:
    half = build.trio()[0].data.model_copy(update={"subset": 0.5})
    content = html_page.page([one.model_copy(update={"data": half}) for one in build.trio()], tmp_path)
    # One cell is about superseded trials, one about findings on DSD.
    assert len(re.findall(r"<td[^>]*>50 % of fixture-pictures</td>", content)) == 2


def test_the_check_against_wrong_labels_leads_to_both_groups(html: str, golden: list[Record]) -> None:
    groups = group_records(golden)
    noisy, clean = (k for k, one in enumerate(groups) if one.key.row == "imagenet_resnet50")
    section = html[html.index("<h3>imagenet_resnet50: label noise</h3>") :].split("</section>")[0]
    lines = section.split("<tr>")
    assert [re.findall(r"#trials-(\d+)", one)[:1] for one in lines if 'scope="row"' in one] == [
        [str(number)] for number in (clean, noisy, clean, clean, noisy, noisy)
    ]


def test_it_has_landmarks_captions_and_headings_in_order(page: Page) -> None:
    found = [tag for tag, _ in page.tags]
    assert ("html", {"lang": "en"}) in page.tags
    assert (found.count("main"), found.count("h1"), found.count("title")) == (1, 1, 1)
    assert found.count("caption") == found.count("table")
    levels = [int(tag[1]) for tag in found if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert {attrs["for"] for tag, attrs in page.tags if tag == "label"} <= ids


def with_outputs(folder: Path) -> Record:
    """Return the first golden record with transcripts, after writing its file of outputs for two utterances."""
    record = next(one for one in build.everything() if one.row == "librispeech_deepspeech2")
    line = {"utterance": "1-1", "reference": "one two three", "transcript": "one too three"}
    other = {"utterance": "1-2", "reference": "four", "transcript": "four"}
    digest = outputs.write(
        {"dense": [line, other], "dsd": [line | {"transcript": "two three four"}, other | {"transcript": ""}]},
        folder / f"{record.id}.csv.gz",
    )
    return record.model_copy(update={"outputs": digest}).sealed()


def test_the_viewer_has_every_test_example_with_its_errors(tmp_path: Path) -> None:
    record = with_outputs(tmp_path)
    content = html_page.page([record], tmp_path)
    assert content == html_page.page([record], tmp_path)  # the same bytes
    ((index, found),) = Page(content).trials()
    assert index["id"] == record.id
    assert (index["count"], index["whole"], index["marked"]) == (2, True, True)
    assert found["arms"] == ["D", "DSD"]
    assert found["examples"] == [
        ["1-1", "one two three", ["one too three", "ese"], ["one two three four", "deei"]],
        ["1-2", "four", "four", ""],
    ]


def test_without_the_file_the_viewer_shows_the_samples_in_the_record(page: Page, golden: list[Record]) -> None:
    with_samples = [one for group in group_records(golden) for one in group.records if one.dense and one.dense.samples]
    assert {one["id"] for one, _ in page.trials()} == {one.id for one in with_samples}
    for index, found in page.trials():
        (record,) = (one for one in with_samples if one.id == index["id"])
        assert index["whole"] is False
        assert len(found["examples"]) == index["count"] == len(record.arms["dsd"].samples)


def test_outputs_that_are_not_their_records_are_refused(tmp_path: Path) -> None:
    record = with_outputs(tmp_path)
    path = tmp_path / f"{record.id}.csv.gz"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ValueError, match=rf"{path.name}: its SHA-256 differs"):
        html_page.page([record], tmp_path)


def test_a_page_that_would_be_too_large_lacks_trials_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: list[Record]
) -> None:
    monkeypatch.setattr(html_svg, "as_svg", lambda _: {})
    whole = html_page.page(golden, tmp_path)
    count = len(Page(whole).trials())
    monkeypatch.setattr(html_page, "LIMIT", len(whole.encode()) - 400)
    less = html_page.page(golden, tmp_path)
    shown = Page(less)
    assert len(less.encode()) <= html_page.LIMIT
    assert 0 < len(shown.trials()) < count
    assert f"Left out to keep this page small: {count - len(shown.trials())} trial" in shown.text
    monkeypatch.setattr(html_page, "LIMIT", 20_000)
    with pytest.raises(ValueError, match="more than 20,000"):
        html_page.page(golden, tmp_path)


def test_figures_follow_the_page_in_colour_and_share_no_id() -> None:
    svg = (
        '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="540pt" height="9.5pt" viewBox="0 0 540 9.5">'
        '<defs><style type="text/css">*{}</style></defs><g id="axes_1"><path id="m1" d="M 1.23456 2" style="stroke: #000000"/>'
        '<use xlink:href="#m1" clip-path="url(#p1)"/><text x="1.2345">0.0075 %</text></g></svg>'
    )
    assert html_svg.inline(svg, "f3-") == (
        '<svg viewBox="0 0 540 9.5"><defs></defs><g><path id="f3-m1" d="M 1.23 2" style="stroke: var(--ink)"/>'
        '<use href="#f3-m1" clip-path="url(#f3-p1)"/><text x="1.23">0.0075 %</text></g></svg>'  # numbers in texts stay
    )


def test_trials_come_by_seed_then_row(golden: list[Record], tmp_path: Path) -> None:
    found = viewer.trials(group_records(golden), tmp_path)
    assert [(one.row.split("_")[1], one.seed) for one in found] == [
        (row, seed) for seed in range(3) for row in ("neuraltalk", "deepspeech2")
    ]


def test_the_command_writes_it_beside_the_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = with_outputs(tmp_path / "outputs")
    store.write(record, tmp_path / "records")
    assert main(["report", "--records", str(tmp_path / "records")]) == 0
    content = (tmp_path / "report.html").read_bytes()
    assert f"1 records: wrote {tmp_path / 'report.html'}, {len(content):,} bytes" in capsys.readouterr().out
    assert main(["report", "--records", str(tmp_path / "outputs")]) == 2
    assert "expected a folder called records" in capsys.readouterr().err


def test_no_records_no_result(tmp_path: Path) -> None:
    shown = Page(html_page.page([], tmp_path))
    assert shown.tables == []
    assert "No result on real data yet" in shown.text
    assert "No record has captions or transcripts." in shown.text
