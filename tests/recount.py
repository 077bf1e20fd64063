"""The arithmetic of `tests/test_published_numbers.py`: computes numbers from the JSON of the records, without code of the suite.

The facts of the plan and the paper are repeated here on purpose.
"""

from __future__ import annotations

import base64
import bz2
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

RESULTS = Path(__file__).parents[1] / "results"
FRONT = {"README.md": RESULTS.parent / "README.md", "results/README.md": RESULTS / "README.md"}
PLAN = {
    # row: network, planned seeds, hours per trial, the paper's gain as a share of its baseline (CNNs: printed in Table 1)
    "imagenet_googlenet": ("GoogLeNet", 5, 1.6, 0.036),
    "imagenet_vgg16": ("VGG-16", 5, 2.7, 0.137),
    "imagenet_resnet18": ("ResNet-18", 5, 1.1, 0.041),
    "imagenet_resnet50": ("ResNet-50", 5, 2.0, 0.046),
    "flickr8k_neuraltalk": ("NeuralTalk", 5, 1.4, 0.101),
    "librispeech_deepspeech": ("DeepSpeech", 5, 2.8, (33.55 - 32.20) / 33.55),
    "librispeech_deepspeech2": ("DeepSpeech 2", 10, 2.1, (14.52 - 13.96) / 14.52),
}
ARMS = {
    "imagenet_resnet18": {"control", "dsd", "llr", "control-text", "dsd-text"},
    "flickr8k_neuraltalk": {"control", "dsd", "llr", "control-text", "dsd-text", "random"},
    "imagenet_googlenet": {"control", "dsd", "llr", "random"},
    "imagenet_vgg16": {"control", "dsd", "llr", "random"},
}
"""The planned arms of the rows with more than control, dsd and llr."""
SECONDARY = ((3, 3.3), (3, 4.0), (5, 0.7))
"""Seeds and hours per trial of the secondary groups: sensitivity of ResNet-18 and of NeuralTalk, and label noise."""
DATA = {
    "imagenet": "tiny-imagenet-50",
    "flickr8k": "flickr8k",
    "librispeech_deepspeech": "noisy-digits-5db",
    "librispeech_deepspeech2": "noisy-digits-0db",
}
"""The planned data set by row, or by domain."""
REPLANNED: dict[str, Callable[[dict[str, Any]], bool]] = {
    "imagenet_vgg16": lambda record: record["recipe"]["data"]["crop"] == 64,
    "librispeech_deepspeech": lambda record: record["data"]["name"] == DATA["librispeech_deepspeech"],
    "librispeech_deepspeech2": lambda record: record["recipe"]["schedule"]["phases"][0]["epochs"] == 40,
}
"""Whether a trial at small scale follows the row's last plan, for rows that have had others."""
TESTED = {"imagenet": 18_000, "flickr8k": 1_000, "librispeech": 756}
"""The number of test examples by domain."""
GATES = {
    # domain: the score on training examples, its value for guessing, the score on other examples that must be higher
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
    """Return whether trials have an unchanged recipe and real data, and are not of suite 0.1 at small scale."""
    one = group[0]
    old = one["scale"] == "small" and not one.get("numerics")
    return not (old or one["custom"] or one["data"]["synthetic"] or one["scale"] == "smoke")


def is_secondary(record: Record) -> bool:
    """Return whether a trial is one of the plan's secondary trials: with sparsities, or with wrong labels."""
    noisy = float((record["recipe"].get("data") or {}).get("label_noise") or 0) > 0
    current = record["scale"] == "small" and record.get("numerics") and record["status"] == "finished"
    return bool(current) and (noisy or "dsd-50" in record["arms"])


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
    """Gains over the control, and the values for an interval over seeds and examples."""

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
        """Return the answer of one-sided 95 % bounds about a claim."""
        whole, half = (self.half(share * part, 0.1) for part in (1.0, 0.5))
        if self.mean(share) - whole >= 0:
            return "claim reached"
        if self.mean(share / 2) + half < 0:
            return "even half the claim excluded"
        return "claim excluded" if self.mean(share) + whole < 0 else "claim not excluded"


def t_interval(values: Sequence[float], sd: bool = True) -> list[float]:
    """Return mean, standard deviation (if `sd`) and 95 % t interval; for one value, only this value."""
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
    if row in REPLANNED:
        like = [group for group in like if REPLANNED[row](group[0])]
    return max(like, key=len, default=[])


def both(row: str) -> list[Record]:
    return [one for one in planned(row) if {"dsd", "control"} <= one["arms"].keys()]


def conditions(row: str) -> dict[str, tuple[list[float], float, float]]:
    """Return by condition of the gate the value in every planned trial, and the bounds on their mean."""
    chosen = [one for one in both(row) if one["seed"] < PLAN[row][1]]
    metric, (fit, guess, beside) = chosen[0]["metric"], GATES[row.split("_")[0]]
    sign = -1 if chosen[0]["lower_is_better"] else 1
    controls = [one["arms"]["control"]["test"][metric] for one in chosen]
    points = PLAN[row][3] * float(np.mean(controls))
    tested = float(np.mean([one["dense"]["test"][beside] for one in chosen]))
    trained = [one["dense"]["phases"][-1]["train"][fit] for one in chosen]
    moved = []
    for one in chosen:
        curve = one["dense"]["curve"]
        point = min(curve, key=lambda each: abs(each["step"] - 0.75 * curve[-1]["step"]))
        moved.append(sign * (one["dense"]["test"][metric] - point["test"][metric]))
    llr = [sign * (one["arms"]["llr"]["test"][metric] - one["dense"]["test"][metric]) for one in chosen]
    found = {
        "fit": (trained, -math.inf, min(guess / 2, tested)),
        "plateau": (moved, -points / 2, points / 2),
        "trained": (llr, -math.inf, points),
        "not saturated": (controls, 2.0, math.inf),
    }
    reported = ["trained"] if row.startswith("librispeech") else []
    reported += ["not saturated"] if row.startswith("flickr8k") else []
    return {name: of for name, of in found.items() if name not in reported}


def failed(row: str) -> list[str]:
    """Return the conditions of the gate that the mean over the planned trials fails."""
    return [name for name, (values, low, high) in conditions(row).items() if not low < float(np.mean(values)) < high]


def gate(row: str) -> bool:
    """Return whether the gate holds for the means over the planned trials."""
    return not failed(row)


def verdicts() -> dict[str, str]:
    """Return the two answers by row, for rows with exactly the planned seeds whose gate holds."""
    complete = [row for row in PLAN if [one["seed"] for one in both(row)] == list(range(PLAN[row][1])) and gate(row)]
    p = {row: Crossed(both(row)).p() for row in complete}
    found, largest = {}, 0.0
    for rank, row in enumerate(sorted(p, key=lambda one: p[one])):
        largest = max(largest, min(1.0, p[row] * (len(PLAN) - rank)))
        gained = Crossed(both(row))
        better = "no difference shown" if largest > 0.05 else "DSD better" if gained.mean() > 0 else "DSD worse"
        found[row] = f"{gained.claim(PLAN[row][3])}; {better}"
    return found


def plain(text: str) -> str:
    return re.sub(r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\([^()]*\)", r"\1", text)


def tables(page: str) -> Iterator[list[dict[str, str]]]:
    """Yield the tables of a page, each with one dictionary per line."""
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        head, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines())
        yield [dict(zip(head, line, strict=True)) for line in lines]


def check(text: str, expected: Sequence[float], where: str) -> int:
    """Compare the numbers of a cell with the expected ones, to the last printed digit; return their count."""
    printed = re.findall(NUMBER, plain(text))
    assert len(printed) == len(expected), f"{where}: {text} against {expected}"
    for shown, ours in zip(printed, expected, strict=True):
        digits = len(shown.partition(".")[2])
        assert abs(float(shown) - ours) <= 0.5000001 * 10**-digits, f"{where}: {shown} is {ours}"
    return len(printed)
