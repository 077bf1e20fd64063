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
    DATA,
    FRONT,
    NUMBER,
    PLAN,
    RESULTS,
    SECONDARY,
    TESTED,
    Crossed,
    Record,
    both,
    check,
    conditions,
    failed,
    gains,
    gate,
    groups,
    is_result,
    is_secondary,
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
        assert line["verdict"].startswith(given.get(row, "none yet" if have < seeds else "none"))
        control = list(scores(planned(row), "control").values())
        claim = line["paper's gain, % (points here)"]
        assert claim.endswith(", after one iteration") == row.startswith("librispeech")
        check(claim, [100 * share, *([share * float(np.mean(control))] if control else [])], row)
        (tested,) = re.findall(r", ([\d,]+) test (?:pictures|utterances),", line["data, metric"])
        assert {int(tested.replace(",", "")), *(one["data"]["counts"]["test"] for one in trials)} == {
            TESTED[row.split("_")[0]]
        }
        check("" if line["gain [95 %]"] == "-" else line["gain [95 %]"], _gain(trials), row)
        assert line["gate"].startswith(("holds" if gate(row) else "fails") if trials else "-")


def test_the_seeds_that_are_not_run() -> None:
    page = plain(FRONT["results/README.md"].read_text(encoding="utf-8"))
    part = page.split("## What would resolve the rest")[1].split("\n## ")[0]
    for row, (network, seeds, hours, _) in PLAN.items():
        have = {one["seed"] for one in both(row)}
        missing = [seed for seed in range(seeds) if seed not in have]
        said = re.search(rf"\*\*{re.escape(network)}(?:,[^*]*)?\*\* (.*)", part)
        assert (said is not None) == (row not in verdicts()), row
        if said is None or not missing:
            continue
        listed = re.search(r"seeds? ([\d, andto]+) not run", said[1])
        assert (listed is None) == (not have), row
        if listed:
            ends = [[int(end) for end in one.split(" to ")] for one in re.split(", | and ", listed[1])]
            assert [seed for one in ends for seed in range(one[0], one[-1] + 1)] == missing
        (time,) = re.findall(rf"{len(missing)} trials? left, about ({NUMBER}) h", said[1])
        check(time, [len(missing) * (_hours()[row] or _factor() * hours)], row)


def test_what_a_failed_gate_needs_from_the_other_seeds() -> None:
    page = plain(FRONT["results/README.md"].read_text(encoding="utf-8"))
    part = page.split("## What would resolve the rest")[1].split("\n## ")[0]
    words = re.compile(
        rf"For \*(.*?)\* to hold over all (\d+) seeds, the [^;]*? must (?:average|be) (?:at most|at least|between) ({NUMBER}"
        rf"(?: and {NUMBER})?) (?:over the other (\d+)|in the other seed); it is ({NUMBER}) so far"
        rf"(?:\. Over (?:(\S+)'s|these) (\d+) seeds, the standard deviation is ({NUMBER}), "
        r"so more seeds are unlikely to change this)?"
    )
    networks = {network: row for row, (network, *_) in PLAN.items()}
    for row, (network, seeds, *_) in PLAN.items():
        said = re.search(rf"\*\*{re.escape(network)}(?:,[^*]*)?\*\* (.*)", part)
        told = {match[1]: match for match in words.finditer(said[1])} if said else {}
        have = len({one["seed"] for one in both(row) if one["seed"] < seeds})
        assert set(told) == (set(failed(row)) if 0 < have < seeds else set()), row
        for name, match in told.items():
            values, low, high = conditions(row)[name]
            left = seeds - have
            ends = [(seeds * end - sum(values)) / left for end in (low, high) if math.isfinite(end)]
            check(match[3], ends, f"{row}: {name}")
            check(f"{match[2]} {match[4] or 1} {match[5]}", [seeds, left, float(np.mean(values))], f"{row}: {name}")
            gap = max(float(np.mean(values)) - high, low - float(np.mean(values)))
            if match[7]:
                others = conditions(networks[match[6]] if match[6] else row)[name][0]
                spread = float(np.std(others, ddof=1))
                check(f"{match[7]} {match[8]}", [len(others), spread], f"{row}: spread of {name}")
                assert len(others) >= 3
                assert gap > 3 * spread * math.sqrt(1 / have + 1 / left)
            else:
                alike = (other for other in PLAN if both(other) and both(other)[0]["data"] == both(row)[0]["data"])
                known = [found[name][0] for found in map(conditions, alike) if name in found]
                spreads = [float(np.std(others, ddof=1)) for others in known if len(others) >= 3]
                assert all(gap <= 3 * spread * math.sqrt(1 / have + 1 / left) for spread in spreads)


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
    for row in given:
        said = re.search(rf"{re.escape(PLAN[row][0])}: [^.]*\.((?: [^.]*\(secondary\)\.)*)", answer)
        assert said is not None
        assert said[1] == _ends(row)
    if total > sum(have.values()):
        hours, factor = _hours(), _factor()
        left = sum((PLAN[row][1] - have[row]) * (hours[row] or factor * PLAN[row][2]) for row in PLAN)
        last = re.search(
            rf"({NUMBER}) trials? (?:is|are) left, about ({NUMBER}) h on one core \(the finished trials took ({NUMBER}) times "
            rf"their planned hours; we assume the same for rows without a trial\)\. The secondary trials \(sensitivity, "
            rf"label noise\) would take about ({NUMBER}) h more\.$",
            answer,
        )
        assert last is not None
        assert not any(is_secondary(one) for one in records()), "count the secondary trials that are left"
        check(last[4], [factor * sum(seeds * each for seeds, each in SECONDARY)], "hours of the secondary trials")
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


def _ends(row: str) -> str:
    """Return where both arms end beside D and LLR, in the words of the answer, from 95 % intervals that exclude zero."""
    shown = {}
    for over in ("dense", "llr"):
        for arm in ("dsd", "control"):
            mean, low, high = Crossed(planned(row), arm, over).interval()
            shown[arm, over] = "" if low <= 0 <= high else "better" if mean > 0 else "worse"
    told: dict[str, list[str]] = {}
    for over, name in (("dense", "D"), ("llr", "further training at a low rate, LLR")):
        alike = shown["dsd", over] == shown["control", over]
        for arm, who in (
            {"dsd": "Both end"}.items() if alike else {"dsd": "DSD ends", "control": "The control ends"}.items()
        ):
            if shown[arm, over]:
                told.setdefault(who, []).append(f"{shown[arm, over]} than {name}")
    return "".join(f" {who} {', and '.join(parts)} (secondary)." for who, parts in told.items())


def _told(answer: str) -> dict[str, str]:
    """Return the verdict of each row, in the words of the tables, from sentences such as "ResNet-18: A, and B."."""
    claims = {
        "half": "even half the claim excluded",
        "is reached": "claim reached",
        "not": "claim not excluded",
        "is excluded": "claim excluded",
    }
    told = {}
    for names, claim, direction in re.findall(r"(?<=\. )([^.:]+): ([^.]*?), and ([^.]*)\.", answer):
        first = next(word for part, word in claims.items() if part in claim)
        second = "no difference shown" if "no difference" in direction else f"DSD {direction.split()[2]}"
        told |= dict.fromkeys(names.split(", "), f"{first}; {second}")
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
def test_the_secondary_gains(name: str) -> None:
    page = plain(FRONT[name].read_text(encoding="utf-8"))
    part = page[page.index("Secondary, without a verdict:") :].split("\n## ")[0]
    lines = {re.split(",", line["network"])[0]: line for line in next(tables(part))}
    least = 3 if name == "README.md" else 1
    listed = [row for row in PLAN if len(both(row)) >= least]
    assert set(lines) == {PLAN[row][0] for row in listed}
    comparisons = {
        "DSD over D": ("dsd", "dense"),
        "control over D": ("control", "dense"),
        "LLR over D": ("llr", "dense"),
        "DSD over LLR": ("dsd", "llr"),
        "control over LLR": ("control", "llr"),
    }
    for row in listed:
        line, trials = lines[PLAN[row][0]], both(row)
        assert line["seeds"] == ("one: no interval" if len(trials) == 1 else str(len(trials)))
        for heading, (arm, over) in comparisons.items():
            there = bool(gains(planned(row), arm, over))
            expected = Crossed(planned(row), arm, over).interval() if there else []
            check("" if line[heading] == "-" else line[heading], expected, f"{row}: {heading}")
    for row, others in _outside().items():
        for group in others:
            seeds, data = " and ".join(str(one["seed"]) for one in group), group[0]["data"]
            same = data["name"] == DATA.get(row, DATA.get(row.split("_")[0]))
            where = "the same data" if same else f"other data, {data['name']}"
            told = re.findall(
                rf"{re.escape(PLAN[row][0])} outside the plan, with another recipe on {where} \(seeds? {seeds}\): DSD over control "
                r"(.*?)\.(?: |\n)",
                part,
            )
            assert len(told) == 1, row
            check(told[0], Crossed(group).interval(), f"{row}: outside the plan")
    assert part.count("outside the plan, with") == sum(map(len, _outside().values()))


def _outside() -> dict[str, list[list[Record]]]:
    """Return by planned row its groups of results at small scale that are not planned."""
    found: dict[str, list[list[Record]]] = {}
    for group in groups():
        row = group[0]["row"]
        small = group[0]["scale"] == "small" and is_result(group) and bool(gains(group, "dsd", "control"))
        if small and row in PLAN and [one["id"] for one in group] != [one["id"] for one in planned(row)]:
            found.setdefault(row, []).append(group)
    return found


def test_the_secondary_readings() -> None:
    page = plain(FRONT["results/README.md"].read_text(encoding="utf-8"))
    part = page[page.index("Secondary, without a verdict:") :].split("\n## ")[0]
    for row, (network, _, _, share) in PLAN.items():
        group, trials = planned(row), both(row)
        said = re.search(rf"- \*\*{re.escape(network)}(?:,[^*]*)?\*\*( \(one seed\))?:(.*)", part)
        assert (said is not None) == bool(trials), row
        if said is None:
            continue
        text = said[2]
        assert (said[1] is not None) == (len(trials) == 1)
        shown = re.search(r"With the text's rate, DSD over its control: (\S+(?: \[.*?\])?)\.(?: |$)", text)
        assert (shown is not None) == bool(gains(group, "dsd-text", "control-text")), row
        if shown:
            check(shown[1], Crossed(group, "dsd-text", "control-text").interval(), f"{row}: the text's rate")
        if len(trials) > 1 and scores(group, "dense"):
            mean, low, high = Crossed(group, "control", "dense").interval()
            effect = "the network better" if mean > 0 else "the network worse"
            effect = "no clear difference" if low <= 0 <= high else effect
            assert f"Training D further at DSD's learning rates makes {effect}." in text
        iterations = [_pruned(trials, "dsd", number) for number in range(row.startswith("librispeech") + 1)]
        rate = _pruned(trials, "dsd-text", -1)
        found = re.search(
            r"weights that S had pruned average (.*?) of the other weights' size(?: \((\S+) % with the text's rate\))?",
            text,
        )
        assert (found is not None) == (iterations[0] is not None), row
        if found:
            assert re.findall(rf"({NUMBER}) %", found[1]) == [f"{size:.2g}" for size in iterations if size is not None]
            assert re.findall(r"\(iteration (\d)\)", found[1]) == (["1", "2"] if len(iterations) > 1 else [])
            assert found[2] == (rate and f"{rate:.2g}")
            assert ("so they stay near zero" in text) == (max(size or 0 for size in (*iterations, rate)) < 10)
        if len(trials) > 1:
            bounds = _bounds(trials)
            control = float(np.mean([one["arms"]["control"]["test"][one["metric"]] for one in trials]))
            points, claim = [bound * control for bound in bounds], share * control
            excluded, reached = bounds[1] < share, bounds[0] >= share
            kind, given = ("upper", points[1:]) if excluded else ("lower", points[:1])
            words = f"One-sided {kind} bound is" if excluded or reached else "one-sided bounds are"
            told = re.search(rf"The {words[0].lower()}{words[1:]} (.*?)\.$", text)
            assert told is not None
            check(told[1], [*(given if excluded or reached else points), claim], f"{row}: bounds and claim")
            assert ("the claim needs" in told[1]) == (excluded or reached)


def _pruned(trials: list[Record], arm: str, number: int) -> float | None:
    """Return the mean magnitude, after D2 of an iteration, of the weights that its S pruned, in percent of the survivors'."""
    sizes = []
    for one in trials:
        phases = one["arms"].get(arm, {"phases": []})["phases"]
        told = [phase["regrown"] for phase in phases if phase.get("regrown")]
        masks = [phase["mask"] for phase in phases if phase["mask"] is not None]
        if told:
            kept = {layer["name"]: layer["kept"] for layer in masks[number]}
            weights = np.array([[part["weights"], kept[part["name"]]] for part in told[number]], float)
            means = np.array([[part["magnitude"], part["survivors"]] for part in told[number]])
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
    arms = {"D": "dense", "control": "control", "DSD": "dsd"}
    three = [one for one in group if one["dense"] and {"dsd", "control"} <= one["arms"].keys()]
    if heading in arms:
        return mean_sd(list(scores(group, arms[heading]).values())) if scores(group, arms[heading]) else []
    if heading == "gain over control [95 %]":
        found = gains(group, "dsd", "control")
        return Crossed(group).interval() if found and is_result(group) else t_interval(found)
    if heading == "n":
        return [len(gains(group, "dsd", "control")) or len(group)]
    if heading in ("DSD over D", "control over D"):
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
