"""An independent audit: every number in README and in results/tables/overview.md, recomputed from the records.

It shares no code with the suite: it reads the Markdown of the pages and the JSON of the records (`tests/recount.py`), and does its
own arithmetic.
"""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy import optimize, stats

from tests.recount import (
    ARMS,
    FRONT,
    NUMBER,
    PLAN,
    RESULTS,
    TESTED,
    Crossed,
    Record,
    both,
    check,
    gains,
    gate,
    groups,
    is_result,
    mean_sd,
    plain,
    planned,
    records,
    scores,
    t_interval,
    tables,
    verdicts,
)


@pytest.mark.parametrize("name", FRONT)
def test_the_table_of_answers(name: str) -> None:
    page, given = FRONT[name].read_text(encoding="utf-8"), verdicts()
    answers = next(table for table in tables(page) if "verdict" in table[0])
    lines = {re.split(r",", line["network"])[0]: line for line in answers}
    assert set(lines) == {network for network, *_ in PLAN.values()}
    for row, (network, seeds, _, share) in PLAN.items():
        line, trials = lines[network], both(row)
        have = sum(one["seed"] < seeds for one in trials)
        check(line["n"], [have, seeds], row)
        none = "none yet (" if have < seeds else "none: "
        assert line["verdict"].startswith(given.get(row, none))
        missing = [seed for seed in range(seeds) if seed not in {one["seed"] for one in trials}]
        if 0 < have < seeds:
            listed = re.search(r"seeds? ([\d, andto]+) not run", line["verdict"])
            assert listed is not None
            ends = [[int(end) for end in part.split(" to ")] for part in re.split(", | and ", listed[1])]
            assert [seed for part in ends for seed in range(part[0], part[-1] + 1)] == missing
        control = list(scores(planned(row), "control").values())
        claim = line["claim: relative gain (points here)"]
        assert claim.endswith(", after one iteration") == row.startswith("librispeech")
        check(claim, [100 * share, *([share * float(np.mean(control))] if control else [])], row)
        (tested,) = re.findall(r", ([\d,]+) test (?:pictures|utterances),", line["data, metric"])
        assert {int(tested.replace(",", "")), *(one["data"]["counts"]["test"] for one in trials)} == {
            TESTED[row.split("_")[0]]
        }
        check("" if line["gain [95 %]"] == "-" else line["gain [95 %]"], _gain(trials), row)
        assert line["gate"].startswith(("holds" if gate(row) else "fails") if trials else "-")


def _gain(trials: list[Record]) -> list[float]:
    return Crossed(trials).interval() if trials else []


@pytest.mark.parametrize("name", FRONT)
def test_the_sentences_of_the_answer(name: str) -> None:
    page, given = plain(FRONT[name].read_text(encoding="utf-8")), verdicts()
    (answer,) = [line for line in page.splitlines() if line.startswith("Does DSD beat ordinary training")]
    have = {row: sum(one["seed"] < seeds for one in both(row)) for row, (_, seeds, *_) in PLAN.items()}
    total = sum(seeds for _, seeds, *_ in PLAN.values())
    assert f" {sum(have.values())} of {total} planned trials are finished." in answer
    assert f"{len(PLAN)} planned rows" in answer
    assert _told(answer) == given
    if total > sum(have.values()):
        hours, factor = _hours(), _factor()
        left = sum((PLAN[row][1] - have[row]) * (hours[row] or factor * PLAN[row][2]) for row in PLAN)
        last = re.search(
            rf"({NUMBER}) trials? (?:is|are) left, about ({NUMBER}) h on one core \(the finished trials took ({NUMBER}) times "
            r"their planned hours; we assume the same for rows without a trial\)\.$",
            answer,
        )
        assert last is not None
        check(" ".join(last.groups()[:2]), [total - sum(have.values()), left], "trials left")
        assert float(last[3]) == float(f"{factor:.2g}")
    for row, (network, seeds, *_) in PLAN.items():
        said = re.search(
            rf"Interim, ([^,]*?) seeds, not a verdict: the gain of {re.escape(network)}(?:,[^.]*?)? is ([^;]*?) points; (.*?)\.",
            answer,
        )
        assert (said is not None) == (row not in given and len(both(row)) > 1), row
        if said:
            mean, low, high = Crossed(both(row)).interval()
            check(said[1], [have[row], seeds], row)
            check(said[2], [mean, low, high], row)
            assert said[3] == f"the interval {'includes' if low <= 0 <= high else 'excludes'} zero"
    if "Over the" in answer:
        shares = re.search(rf"the gain is ({NUMBER}) % of the claim \[({NUMBER}) %, ({NUMBER}) %\]", answer)
        assert shares is not None
        check(" ".join(shares.groups()), [100 * value for value in _pool(list(given))], "the mean over rows")


def _told(answer: str) -> dict[str, str]:
    """Return the verdict of each row, in the words of the tables, from sentences such as "ResNet-18: A, and B."."""
    claims = {"half": "half excluded", "is reached": "reached", "not": "not excluded", "is excluded": "excluded"}
    told = {}
    for names, claim, direction in re.findall(r"(?<=\. )([^.:]+): ([^.]*?), and ([^.]*)\.", answer):
        first = next(word for part, word in claims.items() if part in claim)
        second = "no difference shown" if "no difference" in direction else f"DSD {direction.split()[2]}"
        told |= dict.fromkeys(names.split(", "), f"claim {first}; {second}")
    return {row: told.pop(network) for row, (network, *_) in PLAN.items() if network in told} | told


def _hours() -> dict[str, float | None]:
    """Return by row the mean hours of trials with only planned arms; None without such trials."""
    found = {}
    for row in PLAN:
        arms = ARMS.get(row, {"control", "dsd", "llr"})
        hours = [one["cost"]["seconds"] / 3600 for one in both(row) if one["arms"].keys() <= arms]
        found[row] = float(np.mean(hours)) if hours else None
    return found


def _factor() -> float:
    """Return the ratio of measured to planned hours over the rows that ran, weighted by their finished trials."""
    have = {row: sum(one["seed"] < PLAN[row][1] for one in both(row)) for row in PLAN}
    ran = {row: hours for row, hours in _hours().items() if hours}
    return sum(have[row] * ran[row] for row in ran) / sum(have[row] * PLAN[row][2] for row in ran)


@pytest.mark.parametrize("name", FRONT)
def test_the_secondary_readings(name: str) -> None:
    page = plain(FRONT[name].read_text(encoding="utf-8"))
    part = page[page.index("Secondary readings, without a verdict:") :].split("\n## ")[0]
    for row, (network, _, _, share) in PLAN.items():
        group, trials = planned(row), both(row)
        said = re.search(rf"\*\*{re.escape(network)}(?:,[^*]*)?\*\*: (.*?)(?=\*\*|\n|$)", part)
        assert (said is not None) == bool(trials), row
        if said is None:
            continue
        text, four = said[1], rf"(?:({NUMBER}) \[({NUMBER}), ({NUMBER})\]|({NUMBER}))"
        comparisons = (
            ("control over D ", "control", "dense"),
            ("DSD over D ", "dsd", "dense"),
            ("LLR over D ", "llr", "dense"),
            ("DSD over LLR ", "dsd", "llr"),
            ("of the paper's text instead of its tables, DSD over its control: ", "dsd-text", "control-text"),
        )
        for words, arm, over in comparisons:
            there = bool(gains(group, arm, over))
            shown = re.search(re.escape(words) + four, text)
            assert (shown is not None) == there, f"{row}: {words}"
            if shown:
                check(shown[0].removeprefix(words), Crossed(group, arm, over).interval(), f"{row}: {words}")
        if len(trials) > 1 and scores(group, "dense"):
            mean, low, high = Crossed(group, "control", "dense").interval()
            effect = "makes no clear difference" if low <= 0 <= high else "helps" if mean > 0 else "does harm"
            assert f"training on after D at DSD's learning rates {effect}: " in text
        sizes = [_restored(trials, arm) for arm in ("dsd", "dsd-text")]
        found = re.search(rf"weights average ({NUMBER}) %.*? after D2(?: \(({NUMBER}) % at the text's rate\))?", text)
        assert (found is not None) == (sizes[0] is not None), row
        if found:
            assert [one and float(one) for one in found.groups()] == [one and float(f"{one:.2g}") for one in sizes]
            assert ("so D2 hardly moves them" in text) == (max(one or 0 for one in sizes) < 10)
        if len(trials) > 1:
            bounds = _bounds(trials)
            control = float(np.mean([one["arms"]["control"]["test"][one["metric"]] for one in trials]))
            for which, bound in zip(("lower", "upper"), bounds, strict=True):
                for printed in re.findall(rf"{which} bound, ({NUMBER}),", text):
                    check(printed, [bound * control], f"{row}: {which} bound")
            side = "rise above" if bounds[1] < share else "fall below" if bounds[0] >= share else "rise above"
            (turn,) = re.findall(rf"would have to {side} ({NUMBER})", text)
            check(turn, [share * control], f"{row}: the claim")
            assert ("not to be excluded" in text) == (bounds[1] < share)
            assert ("not to be reached" in text) == (bounds[0] >= share)


def _restored(trials: list[Record], arm: str) -> float | None:
    """Return the mean magnitude, after the last D2, of the weights that the last S pruned, in percent of the survivors'."""
    sizes = []
    for one in trials:
        phases = one["arms"].get(arm, {"phases": []})["phases"]
        told = [phase["regrown"] for phase in phases if phase.get("regrown")]
        masks = [phase["mask"] for phase in phases if phase["mask"] is not None]
        if told:
            kept = {layer["name"]: layer["kept"] for layer in masks[-1]}
            weights = np.array([[part["weights"], kept[part["name"]]] for part in told[-1]], float)
            means = np.array([[part["magnitude"], part["survivors"]] for part in told[-1]])
            ours, theirs = (weights * means).sum(axis=0) / weights.sum(axis=0)
            sizes.append(100 * float(ours / theirs))
    return float(np.mean(sizes)) if sizes else None


def _bounds(trials: list[Record]) -> list[float]:
    """Return the one-sided 95 % bounds of the gain as a share of the control."""
    one = Crossed(trials)
    return [
        float(optimize.brentq(lambda share, s=sign: one.mean(share) + s * one.half(share, 0.1), -1, 1))
        for sign in (-1, 1)
    ]


def _pool(rows: list[str]) -> tuple[float, float, float]:
    """Return the random-effects mean of the gains as shares of their claims (Paule and Mandel; Hartung and Knapp)."""
    found = [Crossed(both(row)) for row in rows]
    shares = np.array([one.gains.mean() / one.controls.mean() for one in found])
    claims = np.array([PLAN[row][3] for row in rows])
    errors = []
    for one, share in zip(found, shares, strict=True):
        seeds, examples, shared = one.variances(share)
        errors.append(math.sqrt(max(0.0, seeds + examples - shared, examples / 4)) / one.controls.mean())
    x, v, k = shares / claims, (np.array(errors) / claims) ** 2, len(rows)

    def scatter(tau2: float) -> tuple[float, float, float]:
        weights = 1 / (v + tau2)
        mean = float((weights * x).sum() / weights.sum())
        return float((weights * (x - mean) ** 2).sum()), mean, float(weights.sum())

    tau2 = optimize.brentq(lambda t: scatter(t)[0] - (k - 1), 0, 1e6) if scatter(0)[0] > k - 1 else 0.0
    spread, mean, weight = scatter(tau2)
    half = stats.t.ppf(0.975, k - 1) * math.sqrt(max(1.0, spread / (k - 1)) / weight)
    return mean, mean - half, mean + half


def listed(page: str, anchor: str) -> list[str]:
    """Return the ids of the trials in use that a page lists at an anchor."""
    text = (RESULTS / "tables" / page).read_text(encoding="utf-8").split(f'<a id="{anchor}"></a>')[1]
    lines = next(tables(text))
    return [
        match[1]
        for line in lines
        if line["state"] == "used" and (match := re.search(r"records/(.*?)\.json", line["record"]))
    ]


def test_every_number_of_the_overview() -> None:
    page, by_id = (
        (RESULTS / "tables" / "overview.md").read_text(encoding="utf-8"),
        {one["id"]: one for one in records()},
    )
    own, seen, count = {frozenset(one["id"] for one in group) for group in groups()}, set(), 0
    for line in (line for table in tables(page) for line in table):
        place = re.search(r"\]\((\w+\.md)#(t\d+)\)", " ".join(line.values()))
        assert place is not None, line
        ids = listed(place[1], place[2])
        assert frozenset(ids) in own, f"{line['network']}: other trials than ours"
        seen.add(frozenset(ids))
        group = [by_id[one] for one in ids]
        for heading, cell in line.items():
            expected = _expected(group, heading)
            if expected is not None:
                count += check("" if cell == "-" else cell, expected, f"{line['network']}, {heading}")
    assert count > 80
    shown = {one for one in own if not any(by_id[each]["scale"] == "smoke" for each in one)}
    assert seen == shown  # every group except smoke tests


def _expected(group: list[Record], heading: str) -> list[float] | None:
    """Return the expected numbers of a group's cell; None for a column of words."""
    arms = {"baseline": "dense", "control": "control", "DSD": "dsd"}
    three = [one for one in group if one["dense"] and {"dsd", "control"} <= one["arms"].keys()]
    if heading in arms:
        return mean_sd(list(scores(group, arms[heading]).values())) if scores(group, arms[heading]) else []
    if heading == "gain over control [95 %]":
        found = gains(group, "dsd", "control")
        return Crossed(group).interval() if found and is_result(group) else t_interval(found)
    if heading == "n":
        return [len(gains(group, "dsd", "control")) or len(group)]
    if heading in ("DSD over baseline", "control over baseline"):
        found = gains(three, "dsd" if heading.startswith("DSD") else "control", "dense") if three else []
        return mean_sd(found) if found else []
    if heading == "D2 at the text's rate [95 %]":
        return (
            Crossed(group, "dsd-text", "control-text").interval()
            if len(gains(group, "dsd-text", "control-text")) > 1
            else []
        )
    if heading == "beam 20 [95 %, seeds]":
        return t_interval(gains(group, "dsd", "control", "beam20_bleu4"), sd=False)
    return None
