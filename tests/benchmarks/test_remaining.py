"""What the planned rows lack: what a failed gate needs from the other seeds, and the links of the numbers."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.analysis import answers
from benchmarks.analysis.groups import group_records
from benchmarks.records.schema import Record
from benchmarks.reporting.document import Bullets, Cell, Paragraph, pieces, plain
from benchmarks.reporting.tables import remaining
from tests.golden import build

NAME = "**ResNet-18, width 1/4, 64 pixels**"
FIT = "the training top-1 error after D must"


def lacking(found: Sequence[Record], name: str = NAME) -> tuple[str, tuple[str | Cell, ...]]:
    """Return the introduction, and the item of a network."""
    said, items = remaining.lacking(answers.rows(group_records(found)))
    assert isinstance(said, Paragraph)
    assert isinstance(items, Bullets)
    (item,) = [one for one in items.items if plain(one).startswith(name)]
    return plain(said.text), pieces(item)


def test_a_failed_gate_needs_other_seeds_that_differ() -> None:
    said, item = lacking(build.planned(train=60.0)[:3])
    assert said.endswith(" Limits of a gate that depend on scores use the scores so far.")
    # (5 x 49 - 3 x 60) / 2; the three golden seeds are equal.
    assert plain(item).endswith(
        f" For *fit* to hold over all 5 seeds, {FIT} average at most 32.50 over the other 2; it is 60.00 so far. "
        "Over these 3 seeds, the standard deviation is 0.00, so more seeds are unlikely to change this."
    )
    numbers = [one.text for one in item if isinstance(one, Cell) and len(one.trials) == 3]
    assert numbers[:2] == ["60.00", "60.00"]  # after D and on the test
    assert numbers[-2:] == ["60.00", "0.00"]


def test_with_one_seed_the_spread_is_that_of_another_row_on_the_same_data() -> None:
    failed = build.planned(train=60.0)[:1]
    alone = plain(lacking(failed)[1])
    assert alone.endswith(f"{FIT} average at most 46.25 over the other 4; it is 60.00 so far.")
    other = plain(lacking([*failed, *build.planned(row="imagenet_resnet50")])[1])
    assert other.endswith(
        " Over ResNet-50's 5 seeds, the standard deviation is 0.00, so more seeds are unlikely to change this."
    )
    wide = [*build.planned(row="imagenet_resnet50")[:3], *build.planned(train=90.0, row="imagenet_resnet50")[3:]]
    assert plain(lacking([*failed, *wide])[1]) == alone


def test_the_last_seed_is_named_as_one() -> None:
    assert f"{FIT} be at most 5.00 in the other seed; it is 60.00 so far" in plain(
        lacking(build.planned(train=60.0)[:4])[1]
    )


def test_a_gate_that_is_decided_or_holds_needs_nothing() -> None:
    assert "to hold over all" not in plain(lacking(build.planned(train=60.0))[1])
    said, item = lacking(build.planned()[:3])
    assert "to hold over all" not in plain(item)
    assert "Limits" not in said


def test_the_time_that_is_left_links_to_where_it_is_listed() -> None:
    groups = group_records(build.planned()[:3])
    cells = [one for one in remaining.cost(answers.rows(groups), groups) if isinstance(one, Cell)]
    assert [one.address for one in cells] == [
        "README.md#what-would-resolve-the-rest",
        "../benchmarks/evidence_plan.py",  # the secondary trials
    ]
    _, item = lacking(build.planned()[:3], "**GoogLeNet")
    (planned,) = [one for one in item if isinstance(one, Cell)]
    assert (planned.text, planned.address) == ("0.1 h", "../benchmarks/evidence_plan.py")
