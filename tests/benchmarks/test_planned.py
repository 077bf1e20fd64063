"""The planned rows on the pages: every cell is recomputed from the records by formulas in this file."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

from benchmarks.analysis import answers
from benchmarks.analysis.groups import group_records
from benchmarks.records.example_outcomes import unpack_outcomes
from benchmarks.records.schema import Record
from benchmarks.reporting import wording
from benchmarks.reporting.document import plain
from benchmarks.reporting.tables import planned
from tests.benchmarks.test_tables import cells, headline_of, line, pages_of
from tests.golden import build, regime

ROW = "imagenet_resnet18"
NAME = "ResNet-18, width 1/4, 64 pixels"
PLAN = "DSD's gain over the control, row by row"
SCORES = "## The planned rows: scores"
LACKS = "## What would resolve the rest"


def right(found: list[Record], arm: str) -> NDArray[np.float64]:
    """Return (seeds, examples): 100 where the arm is right, otherwise 0."""
    return np.array([100.0 * unpack_outcomes(one.arms[arm].outcomes) for one in found])


def interval(parts: NDArray[np.float64], tail: float) -> tuple[float, float, float]:
    """Return mean and ends of an interval over n seeds and N examples, with probability `tail` outside on either side.

    The variance is s2/n + J - I. The first term has t with n - 1 degrees, or up to 0.4 more, as the interaction's share of s2/n
    is known. The rest has t with N - 1 degrees. The half-width is at least half of that of the examples alone.
    """
    n, examples = parts.shape
    seeds = parts.mean(axis=1).var(ddof=1) / n
    jackknife = parts.mean(axis=0).var(ddof=1) / examples
    own = parts.var(axis=1, ddof=1).mean() / examples
    interaction = max(0.0, own - jackknife) / (n - 1)
    freedom = min((n - 1) / max(1 - interaction / seeds, 0.5), n - 1 + 0.4)
    t, z = stats.t.ppf(1 - tail, freedom), stats.t.ppf(1 - tail, examples - 1)
    half = math.sqrt(max(t**2 * seeds + z**2 * (jackknife - interaction), (z / 2) ** 2 * jackknife))
    mean = float(parts.mean())
    return mean, mean - half, mean + half


def over(gains: NDArray[np.float64]) -> str:
    """Return mean and standard deviation over seeds in the form of a cell."""
    return f"{gains.mean():+.2f} ± {gains.std(ddof=1):.2f}"


def shown(ends: tuple[float, float, float]) -> str:
    return f"{ends[0]:+.2f} [{ends[1]:+.2f}, {ends[2]:+.2f}]"


def test_every_cell_of_a_row_by_hand() -> None:
    found = build.planned()
    files = pages_of(found)
    front, page = files["README.md"], files["tables/overview.md"]
    dsd, control = right(found, "dsd"), right(found, "control")
    gain = interval(dsd - control, 0.025)
    error = 100 - control

    def end(share: float, which: int, tail: float) -> float:
        return interval(dsd - control - share * error, tail)[which]

    claim = 0.041
    mean = (dsd - control).mean() / error.mean()
    low, high = (optimize.brentq(lambda s, w=w: end(s, w, 0.025), -0.5, 0.5) for w in (1, 2))
    p = optimize.brentq(lambda tail: interval(dsd - control, tail)[1], 1e-9, 0.4) * 2
    assert 7 * p < 0.05  # Holm's factor of the smallest of seven p-values: DSD better
    assert end(claim, 2, 0.05) < 0 < end(claim / 2, 2, 0.05)  # the claim is excluded, half of it is not
    assert cells(front[front.index(PLAN) :], "| network", NAME) == {
        "network": NAME,
        "gain [95 %]": shown(gain),
        "paper's gain, % (points here)": f"+4.1 % ({claim * error.mean():+.2f})",
        "verdict": "claim excluded; DSD better",
        "gate": "holds",
        "n": "5 of 5",
        "data, metric": "tiny-imagenet-50, 7,500 training, 18,000 test pictures, top-1 error %",
    }
    bounds = [optimize.brentq(lambda s, w=w: end(s, w, 0.05), -0.5, 0.5) for w in (1, 2)]
    shares, points = (", ".join(f"{scale * bound:+.2f}" for bound in bounds) for scale in (100, float(error.mean())))
    share = f"{100 * mean:+.2f} % [{100 * low:+.2f}, {100 * high:+.2f}], with one-sided bounds [{shares}] (in points [{points}])"
    claimed = f"The paper's claim is 4.1 %, which is {claim * error.mean():+.2f} points here (+1.26 in the paper)."
    assert f"As a share of the control {share}. {claimed}" in files[f"tables/{ROW}.md"]
    sd = np.std([59.0, 59.2, 59.1, 58.9, 59.3], ddof=1)
    ends = np.array([58.2, 58.1, 58.2, 57.7, 58.3])
    text = interval(right(found, "dsd-text") - right(found, "control-text"), 0.025)
    assert cells(page[page.index(SCORES) :], "| network", NAME) == {
        "network": NAME,
        "data": "tiny-imagenet-50",
        "D": "60.00 ± 0.00",
        "control": f"59.10 ± {sd:.2f}",
        "DSD": f"{ends.mean():.2f} ± {ends.std(ddof=1):.2f}",
        "gain over control [95 %]": shown(gain),
        "DSD over D": over(60 - ends),
        "control over D": over(60 - np.array([59.0, 59.2, 59.1, 58.9, 59.3])),
        "D2 at the text's rate [95 %]": shown(text),
        "beam 20 [95 %, seeds]": "-",
        "n": "5",
    }
    (exported,) = (
        one
        for one in csv.DictReader(io.StringIO(pages_of(found)["tables/overview.csv"]))
        if one["row"] == ROW and one["section"] == "regime"
    )
    assert float(exported["crossed_p"]) == pytest.approx(p, rel=1e-4)
    assert float(exported["p_holm"]) == pytest.approx(7 * p, rel=1e-4)
    assert float(exported["share_upper"]) == pytest.approx(
        optimize.brentq(lambda s: end(s, 2, 0.05), -0.5, 0.5), rel=1e-4
    )
    assert float(exported["crossed_upper"]) == pytest.approx(interval(dsd - control, 0.05)[2], rel=1e-4)


def test_a_record_more_or_less_takes_the_verdict_out_of_every_page() -> None:
    verdict = ("claim excluded", "| DSD better", "; DSD better")
    whole = pages_of(build.planned())
    assert all(any(word in whole[name] for word in verdict) for name in (f"tables/{ROW}.md", "README.md"))
    for found, short, missing, said in (
        (build.planned()[:4], "none yet", "none yet (seed 4 not run)", "No verdict yet: seed 4 not run"),
        (build.planned((*regime.GAINS, 1.0)), *["none: seeds not planned: 5"] * 2, "No verdict: seeds not planned: 5"),
        (build.planned(train=60.0), "none", "none: gate does not hold", "No verdict: gate does not hold"),
    ):
        files = pages_of(found)
        for name, content in files.items():
            text = content.replace(wording.RULE, "")
            assert not any(word in text for word in verdict), name
        one = cells(files["README.md"], PLAN, NAME)
        assert one["verdict"] == short  # the columns of gate and n say the rest
        assert one["gain [95 %]"].startswith("+1.0")
        interim = f" of 5 seeds, not a verdict: the gain of {NAME} is {one['gain [95 %]']} points; the interval excludes zero."
        assert interim in files["README.md"]
        assert f"{said}.**" in files[f"tables/{ROW}.md"]
        assert f"| {missing} " in files[f"tables/{ROW}.md"]
        assert f"| {short} " in headline_of(found)


def test_rows_without_a_trial_have_a_line_and_a_place_in_the_export() -> None:
    files = pages_of(build.trio())
    page, plan = files["tables/overview.md"], files["README.md"]
    assert line(plan, "GoogLeNet, width 1/2, 64 pixels")[1:-1] == ["-", "+3.6 %", "none yet", "-", "0 of 5"]
    assert SCORES not in page
    rows = list(csv.DictReader(io.StringIO(files["tables/overview.csv"])))
    assert [one["row"] for one in rows if one["section"] == "regime"] == [
        *("imagenet_googlenet", "imagenet_vgg16", "imagenet_resnet18", "imagenet_resnet50"),
        *("flickr8k_neuraltalk", "librispeech_deepspeech", "librispeech_deepspeech2"),
    ]


def test_what_is_missing_is_told_with_its_cost() -> None:
    page = pages_of(build.planned()[:3])["README.md"]
    part = page[page.index(LACKS) :].split("\n## ")[0]
    # Two trials are left. All golden trials take equally long.
    seconds = build.planned()[0].cost.seconds
    factor = seconds / 3600 / 1.1  # measured hours per planned hour, from the only row with trials
    assert (
        f"**{NAME}** (tiny-imagenet-50): seeds 3 and 4 not run; 2 trials left, about {2 * seconds / 60:.0f} min" in part
    )
    assert (
        f"**GoogLeNet, width 1/2, 64 pixels** (tiny-imagenet-50): no trial; 5 trials left, about "
        f"[{5 * 1.9 * factor:.1f} h](../benchmarks/evidence_plan.py).\n" in part
    )
    assert f"For rows without a trial they are the plan's hours times {factor:.2g}." in part
    failed = pages_of(build.planned(train=60.0))["README.md"]
    assert (
        "gate does not hold; fit: training top-1 error after D 60.00, must be at most 49.00 and below the test's 60.00."
        in failed
    )
    assert NAME not in pages_of(build.planned())["README.md"].split(LACKS)[1].split("\n## ")[0]


def test_the_headline_counts_the_plan_and_nothing_else() -> None:
    text = headline_of(build.planned())
    assert text.startswith(
        "Does DSD beat ordinary training of equal budget? 1 of 7 planned rows has a verdict. ResNet-18: the paper's gain is "
        "excluded, and DSD is better than the control. Both end better than D, and better than further training at a "
        "low rate, LLR (secondary). 5 of 40 planned trials are finished."
    )
    assert line(text, NAME)[1:-1] == [
        *("+1.00 [+0.43, +1.57]", "+4.1 % (+2.42)", "claim excluded; DSD better", "holds", "5 of 5")
    ]
    assert headline_of([*build.planned(), *build.trio()]) == text
    none = headline_of(build.trio())
    assert "No verdict yet on any of the 7 planned rows: 0 of 40 planned trials are finished." in none
    assert "+0.30" not in none  # a gain of suite 0.1


def test_two_rows_with_a_verdict_are_pooled() -> None:
    both = [*build.planned(), *build.planned((0.5, 0.8, 0.6, 0.9, 0.7), row="imagenet_resnet50")]
    text = plain(planned.pool(answers.rows(group_records(both)))).strip()
    assert text.startswith("Over the 2 rows with a verdict (ResNet-18, ResNet-50) the gain is +")
    assert text.endswith("The interval treats rows as independent, but the CNN rows share test pictures.")
    for page in (headline_of(both), pages_of(both)["README.md"]):
        assert text in page
    assert "Over the" not in headline_of(build.planned())


def test_what_is_superseded_comes_last_without_verdict_and_without_the_papers_figures() -> None:
    smoke = build.record(scale="smoke", data="stripes", synthetic=True)
    files = pages_of([*build.planned(), *build.trio(), smoke, *build.captions((1,))])
    page = files["tables/overview.md"]
    headings = [one.splitlines()[0] for one in page.split("\n## ")[1:]]
    assert headings[0].startswith("Paper scale")
    assert headings[1].startswith("The planned rows")
    assert headings[-1] == wording.SUPERSEDED
    part = page[page.index(f"## {wording.SUPERSEDED}") :].split("\n## ")[0]
    assert cells(part, "| network", "ResNet-18") == {
        "network": "ResNet-18",
        "data": "fixture-pictures",
        "metric": "top-1 error %",
        "D": "42.20 ± 0.20",
        "control": "40.30 ± 0.26",
        "DSD": "40.00 ± 0.10",
        "gain over control [95 %]": "+0.30 ± 0.20 [-0.20, +0.80]",
        "n": "3",
    }
    assert "30.4" not in part
    assert "fixture-pictures" not in files["README.md"]
    assert "paper (ImageNet" in files[f"tables/{ROW}.md"]
    assert "paper (ImageNet" not in files["tables/superseded.md"]
    assert "fixture-pictures" not in files[f"tables/{ROW}.md"]


def test_no_gain_over_the_baseline_stands_without_the_controls() -> None:
    alone = [
        one.model_copy(update={"arms": {name: arm for name, arm in one.arms.items() if name != "control"}})
        for one in build.trio()
    ]
    for found in (build.everything(), build.planned(), alone):
        for name, content in pages_of(found).items():
            lines = content.splitlines()
            for number, text in enumerate(lines):
                if text.startswith("| DSD over D "):
                    assert lines[number + 1].startswith("| Control (equal budget) over D "), name
                if "DSD over D |" in text.replace("  ", " ") and text.startswith("| network"):
                    headings = [cell.strip() for cell in text.strip("|").split("|")]
                    assert headings[headings.index("DSD over D") + 1] == "control over D", name
                if ",gain of DSD over D," in text:
                    assert ",gain of Control (equal budget) over D," in lines[number + 1], name
    page = pages_of(alone)["tables/superseded.md"]
    assert "DSD over D" not in page
    assert "+2.20" not in page
    records = cells(page, "| record", "[s0-2030-01-01T10](../records/imagenet_resnet18-small-s0-2030-01-01T10.json)")
    assert records["gain over D"] == "-"
    heads = pages_of(build.trio())["tables/superseded.md"]
    assert "gain over D" in heads
    assert "control over D" in heads
