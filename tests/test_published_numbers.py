"""An independent audit: every number in README and in results/tables/overview.md, recomputed from the records.

It shares no code with the suite: it reads the JSON of the records and the Markdown of the pages, and does its own arithmetic. What
the plan and the paper say is written here a second time, on purpose.
"""

from __future__ import annotations

import base64
import bz2
import json
import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

RESULTS = Path(__file__).parents[1] / "results"
FRONT = {"README.md": RESULTS.parent / "README.md", "results/README.md": RESULTS / "README.md"}
PLAN = {
    # row: network, planned seeds, hours a trial, the paper's gain as a share of its baseline (CNNs: printed in Table 1)
    "imagenet_googlenet": ("GoogLeNet", 5, 1.6, 0.036),
    "imagenet_vgg16": ("VGG-16", 5, 0.8, 0.137),
    "imagenet_resnet18": ("ResNet-18", 5, 1.1, 0.041),
    "imagenet_resnet50": ("ResNet-50", 5, 2.0, 0.046),
    "flickr8k_neuraltalk": ("NeuralTalk", 5, 1.4, 0.101),
    "librispeech_deepspeech": ("DeepSpeech", 5, 2.8, (33.55 - 32.20) / 33.55),
    "librispeech_deepspeech2": ("DeepSpeech-2", 10, 2.1, (14.52 - 13.96) / 14.52),
}
ARMS = {
    "imagenet_resnet18": {"control", "dsd", "llr", "control-text", "dsd-text"},
    "flickr8k_neuraltalk": {"control", "dsd", "llr", "control-text", "dsd-text", "random"},
    "imagenet_googlenet": {"control", "dsd", "llr", "random"},
    "imagenet_vgg16": {"control", "dsd", "llr", "random"},
}
"""The planned arms of the rows with more than control, dsd and llr."""
TESTED = {"imagenet": 18_000, "flickr8k": 1_000, "librispeech": 756}
"""Domain to the number of test examples."""
GATES = {
    # domain: the score on training examples, the least a guess gets, the score beside it on other examples
    "imagenet": ("top1_error", 98.0, "top1_error"),
    "flickr8k": ("perplexity", 175.4, "val_perplexity"),
    "librispeech": ("wer", 100.0, "wer"),
}
NUMBER = r"[+-]?\d+(?:\.\d+)?"
Record = dict[str, Any]
Floats = NDArray[np.float64]


@cache
def records() -> tuple[Record, ...]:
    return tuple(json.loads(path.read_text(encoding="utf-8")) for path in sorted((RESULTS / "records").glob("*.json")))


def groups() -> list[list[Record]]:
    """Return the trials that are averaged together: one per seed, the newest that has the arms of the older ones."""
    found: dict[str, list[list[Record]]] = {}
    for record in records():
        if record["status"] != "finished":
            continue
        dense = record["dense"] or {}
        key = [
            record.get("numerics") or record.get("suite", "0.1"),
            record["row"],
            record["scale"],
            record["data"]["subset"],
        ]
        key += [record["recipe_hash"], sorted(record["custom"]), dense.get("sha256"), record["precision"] == "bfloat16"]
        key += [record["hardware"].get("processes", 1)]
        parts = found.setdefault(json.dumps(key), [])
        same = [part for part in parts if any(_one_data(record, other) for other in part)]
        for part in same:
            parts.remove(part)
        parts.append([record, *(other for part in same for other in part)])
    return [_used(part) for parts in found.values() for part in parts]


def _one_data(a: Record, b: Record) -> bool:
    if a["data"]["fingerprint"] == b["data"]["fingerprint"]:
        return True
    shared = a["arms"].keys() & b["arms"].keys()
    pairs = [(a["dense"], b["dense"]), *((a["arms"][name], b["arms"][name]) for name in shared)]
    equal = all((x["curve"], x["outcomes"]) == (y["curve"], y["outcomes"]) for x, y in pairs if x and y)
    return a["seed"] == b["seed"] and bool(shared) and equal


def _used(part: list[Record]) -> list[Record]:
    chosen: dict[int, Record] = {}
    for record in sorted(part, key=lambda one: (datetime.fromisoformat(one["finished"]), one["id"])):
        if record["arms"].keys() >= chosen.get(record["seed"], {"arms": {}})["arms"].keys():
            chosen[record["seed"]] = record
    return [chosen[seed] for seed in sorted(chosen)]


def is_result(group: list[Record]) -> bool:
    """Return whether trials follow a recipe of ours on real data, and are not of suite 0.1 at small scale."""
    one = group[0]
    old = one["scale"] == "small" and not one.get("numerics")
    return not (old or one["custom"] or one["data"]["synthetic"] or one["scale"] == "smoke")


def run(record: Record, arm: str) -> Record | None:
    found: Record | None = record["dense"] if arm == "dense" else record["arms"].get(arm)
    return found


def scores(group: list[Record], arm: str, metric: str = "") -> dict[int, float]:
    name = metric or (group[0]["metric"] if group else "")
    runs = {record["seed"]: run(record, arm) for record in group}
    return {seed: found["test"][name] for seed, found in runs.items() if found and name in found["test"]}


def gains(group: list[Record], arm: str, over: str, metric: str = "") -> list[float]:
    after, before = scores(group, arm, metric), scores(group, over, metric)
    sign = -1 if group[0]["lower_is_better"] else 1
    return [sign * (after[seed] - before[seed]) for seed in after if seed in before]


def outcomes(text: str) -> Floats:
    """Return (N, 2k) counts of hits and totals by test example."""
    kind, shape, body = text.split(":")
    rows, *columns = map(int, shape.split("x"))
    raw = base64.b64decode(body)
    if kind == "bits":
        hits = np.unpackbits(np.frombuffer(raw, np.uint8), count=rows).astype(float)
    elif kind == "float32":
        hits = np.frombuffer(raw, "<f4").astype(float)
    else:
        types = {"uint8": "u1", "uint16": "<u2", "int16": "<i2", "int32": "<i4"}
        return np.frombuffer(bz2.decompress(raw), types[kind]).astype(float).reshape(columns[0], rows).T
    return np.column_stack([hits, np.ones(rows)])


def rate(counts: Floats) -> Floats:
    """Return the geometric mean of hits / totals in percent, over the last axis (2k)."""
    hits, totals = np.split(counts, 2, axis=-1)
    with np.errstate(divide="ignore"):
        mean = np.exp(np.log(np.maximum(hits, 0) / totals).mean(axis=-1))
    return np.asarray(100 * (mean if hits.shape[-1] > 1 else (hits / totals)[..., 0]))


def jackknife(counts: Floats) -> Floats:
    total, n = counts.sum(axis=0), len(counts)
    return np.asarray(n * rate(total) - (n - 1) * rate(total - counts))


class Crossed:
    """Gains over the control, with what an interval over seeds and examples needs."""

    def __init__(self, group: list[Record], arm: str = "dsd", over: str = "control") -> None:
        both = [(a, b) for one in group if (a := run(one, arm)) and (b := run(one, over)) and a["outcomes"]]
        counts = [[self._clustered(outcomes(each["outcomes"]), both[0][0]) for each in pair] for pair in both]
        ours, theirs = (np.array([rate(pair[k].sum(axis=0)) for pair in counts]) for k in (0, 1))
        our_parts, their_parts = (np.array([jackknife(pair[k]) for pair in counts]) for k in (0, 1))
        sign, offset = (-1, 100) if group[0]["lower_is_better"] else (1, 0)
        self.gains, self.parts = ours - theirs, our_parts - their_parts
        self.controls, self.control_parts = offset + sign * theirs, offset + sign * their_parts
        self.n = len(both)

    @staticmethod
    def _clustered(counts: Floats, first: Record) -> Floats:
        names = [sample.get("utterance", "") for sample in first["samples"]]
        if len(names) != len(counts) or not all(names):
            return counts
        speakers = [name.split("-")[0] for name in names]
        return np.array([counts[[s == one for s in speakers]].sum(axis=0) for one in dict.fromkeys(speakers)])

    def variances(self, share: float) -> tuple[float, float, float]:
        values, parts = self.gains - share * self.controls, self.parts - share * self.control_parts
        n, examples = parts.shape
        between = 0.0 if np.ptp(values) == 0 else values.var(ddof=1) / n
        over_examples = parts.mean(axis=0).var(ddof=1) / examples
        own = parts.var(axis=1, ddof=1).mean() / examples
        return float(between), float(over_examples), float(max(0.0, own - over_examples) / (n - 1))

    def half(self, share: float = 0.0, tails: float = 0.05) -> float:
        seeds, examples, shared = self.variances(share)
        freedom = self.n - 1.0
        if self.n >= 5 and seeds > 0:
            freedom = min(freedom / max(1 - shared / seeds, 0.5), freedom + 0.4)
        t, z = stats.t.ppf(tails / 2, freedom), stats.t.ppf(tails / 2, self.parts.shape[1] - 1)
        return math.sqrt(max(t**2 * seeds + z**2 * (examples - shared), (z / 2) ** 2 * examples))

    def mean(self, share: float = 0.0) -> float:
        return float((self.gains - share * self.controls).mean())

    def interval(self) -> list[float]:
        return [self.mean(), self.mean() - self.half(), self.mean() + self.half()] if self.n > 1 else [self.mean()]

    def p(self) -> float:
        log = optimize.brentq(lambda x: self.half(tails=math.exp(x)) - abs(self.mean()), -230, 0) if self.mean() else 0
        return math.exp(log)

    def claim(self, share: float) -> str:
        """Return what one-sided 95 % bounds say of a claim."""
        whole, half = (self.half(share * part, 0.1) for part in (1.0, 0.5))
        if self.mean(share) - whole >= 0:
            return "reached"
        if self.mean(share / 2) + half < 0:
            return "half excluded"
        return "excluded" if self.mean(share) + whole < 0 else "not excluded"


def t_interval(values: Sequence[float], sd: bool = True) -> list[float]:
    """Return mean, standard deviation and 95 % t interval; of one value, only itself."""
    if len(values) < 2:
        return list(values)
    spread = np.std(values, ddof=1)
    half = stats.t.ppf(0.975, len(values) - 1) * spread / math.sqrt(len(values))
    mean = float(np.mean(values))
    return [mean, *([float(spread)] if sd else []), float(mean - half), float(mean + half)]


def mean_sd(values: Sequence[float]) -> list[float]:
    return [float(np.mean(values)), *([float(np.std(values, ddof=1))] if len(values) > 1 else [])]


def planned(row: str) -> list[Record]:
    """Return the trials of a planned row; empty if there are none."""
    like = [group for group in groups() if group[0]["row"] == row and group[0]["scale"] == "small" and is_result(group)]
    return max(like, key=len, default=[])


def both(row: str) -> list[Record]:
    return [one for one in planned(row) if {"dsd", "control"} <= one["arms"].keys()]


def gate(row: str) -> bool:
    """Return whether the means over the planned trials are in the regime of the claim."""
    chosen = [one for one in both(row) if one["seed"] < PLAN[row][1]]
    metric, (fit, guess, beside) = chosen[0]["metric"], GATES[row.split("_")[0]]
    sign = -1 if chosen[0]["lower_is_better"] else 1
    control = np.mean([one["arms"]["control"]["test"][metric] for one in chosen])
    points = PLAN[row][3] * control
    trained = np.mean([one["dense"]["phases"][-1]["train"][fit] for one in chosen])
    tested = np.mean([one["dense"]["test"][beside] for one in chosen])
    moved = []
    for one in chosen:
        curve = one["dense"]["curve"]
        point = min(curve, key=lambda each: abs(each["step"] - 0.75 * curve[-1]["step"]))
        moved.append(sign * (one["dense"]["test"][metric] - point["test"][metric]))
    llr = np.mean([sign * (one["arms"]["llr"]["test"][metric] - one["dense"]["test"][metric]) for one in chosen])
    holds = trained <= guess / 2 and trained < tested and abs(np.mean(moved)) < points / 2
    return bool(
        holds and (llr < points or row.startswith("librispeech")) and (control > 2 or row.startswith("flickr8k"))
    )


def verdicts() -> dict[str, str]:
    """Return row to its two answers, for the rows with exactly the planned seeds and a gate that holds."""
    complete = [row for row in PLAN if [one["seed"] for one in both(row)] == list(range(PLAN[row][1])) and gate(row)]
    p = {row: Crossed(both(row)).p() for row in complete}
    found, largest = {}, 0.0
    for rank, row in enumerate(sorted(p, key=lambda one: p[one])):
        largest = max(largest, min(1.0, p[row] * (len(PLAN) - rank)))
        gained = Crossed(both(row))
        better = "no difference shown" if largest > 0.05 else "DSD better" if gained.mean() > 0 else "DSD worse"
        found[row] = f"claim {gained.claim(PLAN[row][3])}; {better}"
    return found


def plain(text: str) -> str:
    return re.sub(r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\([^()]*\)", r"\1", text)


def tables(page: str) -> Iterator[list[dict[str, str]]]:
    """Yield the tables of a page, one dictionary a line."""
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        head, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines())
        yield [dict(zip(head, line, strict=True)) for line in lines]


def check(text: str, expected: Sequence[float], where: str) -> int:
    """Compare the numbers of a cell with ours, to the last printed digit; return how many there were."""
    printed = re.findall(NUMBER, plain(text))
    assert len(printed) == len(expected), f"{where}: {text} against {expected}"
    for shown, ours in zip(printed, expected, strict=True):
        digits = len(shown.partition(".")[2])
        assert abs(float(shown) - ours) <= 0.5000001 * 10**-digits, f"{where}: {shown} is {ours}"
    return len(printed)


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
            listed = re.search(r"seeds? ([\d, and]+) not run", line["verdict"])
            assert listed is not None
            assert [int(seed) for seed in re.findall(r"\d+", listed[1])] == missing
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
    if total > sum(have.values()):
        hours, factor = _hours(), _factor()
        left = sum((PLAN[row][1] - have[row]) * (hours[row] or factor * PLAN[row][2]) for row in PLAN)
        last = re.search(
            rf"({NUMBER}) trials? (?:is|are) left, about ({NUMBER}) h on one core \(rows without a trial: the plan's hours times "
            rf"({NUMBER}), which is what the finished trials took\)\.$",
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


def _hours() -> dict[str, float | None]:
    """Return the mean hours of a row's trials with no more than the planned arms; None without one."""
    found = {}
    for row in PLAN:
        arms = ARMS.get(row, {"control", "dsd", "llr"})
        hours = [one["cost"]["seconds"] / 3600 for one in both(row) if one["arms"].keys() <= arms]
        found[row] = float(np.mean(hours)) if hours else None
    return found


def _factor() -> float:
    """Return measured over planned hours, over the rows that ran, each counted with its finished trials."""
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
            ("DSD over LLR, the paper's own control: ", "dsd", "llr"),
            ("at the rate of the paper's text, DSD over its control: ", "dsd-text", "control-text"),
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
            assert f"training on after D {effect}: " in text
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
    """Return the mean magnitude of the weights that the last S pruned after the last D2, in percent of the survivors'."""
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
    assert seen == shown  # every group of trials but smoke tests


def _expected(group: list[Record], heading: str) -> list[float] | None:
    """Return the numbers of a group's cell; None for a column of words."""
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
