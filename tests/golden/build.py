"""Golden results: FIXTURES with made-up numbers, not measurements, and the tables that they must give.

`record` makes one valid record. The folder has the records of `everything` (records/) and the pages made from them (README.md,
tables/). After an intended change of tables, run this from the root and read the difference:

    python -m tests.golden.build
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.records import example_outcomes, store
from benchmarks.records.schema import (
    Arm,
    Cost,
    Data,
    Dense,
    Failure,
    Hardware,
    LayerMask,
    PhaseResult,
    Point,
    Record,
)
from benchmarks.reporting import results_folder
from benchmarks.statistics.bootstrap import Bootstrap
from tests.golden import captioning, regime, speech

FOLDER = Path(__file__).parent
_HARDWARE = Hardware(cpu="Fixture CPU", cores=2, threads=2, memory_gib=8.0, gpu=None, platform="Linux x86_64")


def record(
    row: str = "imagenet_resnet18",
    scale: Any = "small",
    seed: int = 0,
    baseline: float = 42.0,
    arms: Mapping[str, tuple[float, ...]] | None = None,
    finished: str = "2030-01-01T10:00:00Z",
    data: str = "fixture-pictures",
    synthetic: bool = False,
    metric: str = "top1_error",
    lower_is_better: bool = True,
    other_metrics: dict[str, float] | None = None,
    half_width: float | None = 0.3,
    source: str = "trained",
    **fields: Any,
) -> Record:
    """Return a finished record. `arms`: name to the test metric at the end of every phase after D, the last one final.

    `half_width` is that of the bootstrap interval over test examples; None omits the interval. An arm has the outcomes of 1,000
    examples. The first ones are right, and their number agrees with the arm's final metric.
    """
    arms = {"dsd": (41.0, 39.9), "control": (41.2, 40.0)} if arms is None else arms
    made = {name: _arm(name, metric, lower_is_better, values, other_metrics or {}) for name, values in arms.items()}
    start = _arm("dense", metric, lower_is_better, (baseline,), other_metrics or {})
    sha = None if source == "trained" else "ab" * 32
    boots = {}
    if half_width is not None and {"dsd", "control"} <= set(arms):
        gain = (arms["control"][-1] - arms["dsd"][-1]) * (1 if lower_is_better else -1)
        low, high = round(gain - half_width, 6), round(gain + half_width, 6)
        boots["dsd"] = Bootstrap(mean=round(gain, 6), low=low, high=high, resamples=100)
    costs = [arm.cost for arm in made.values()] + [start.cost]
    plain: dict[str, Any] = {
        "id": f"{row}-{scale}-s{seed}-{finished[:13].replace(':', '')}",
        "status": "finished",
        "row": row,
        "scale": scale,
        "seed": seed,
        "custom": [],
        "command": f"python -m benchmarks run {row} --scale {scale} --seeds 1",
        "started": "2030-01-01T09:00:00Z",
        "finished": finished,
        "interruptions": 0,
        "commit": "f1c710" * 6 + "f1c7",
        "dirty": False,
        "versions": {"python": "3.11.0", "torch": "2.12.0"},
        "hardware": _HARDWARE,
        "precision": "float32",
        "deterministic": True,
        "data": Data(
            name=data,
            fingerprint="f1" * 6,
            counts={"train": 1_281_167, "test": 50_000} if data == "ImageNet" else {"train": 1000, "test": 1000},
            synthetic=synthetic,
            subset=1.0,
            warnings=[],
        ),
        "recipe": {
            "network": row.split("_")[1],
            "reduction": "" if scale == "paper" else "made up: every phase shorter",
            "notes": ["a fixture: every number is made up"],
        },
        "recipe_hash": {"smoke": "5a0ce5a0ce5a", "small": "50a1150a1150", "paper": "9a9e49a9e49a"}[scale],
        "metric": metric,
        "unit": "%",
        "lower_is_better": lower_is_better,
        "dense": Dense(**start.model_dump(), source=source, sha256=sha),
        "arms": made,
        "bootstrap": boots,
        "cost": Cost(
            seconds=sum(c.seconds for c in costs),
            steps=sum(c.steps for c in costs),
            samples=sum(c.samples for c in costs),
        ),
        "failure": None,
    }
    return Record(**(plain | fields)).sealed()


def failed(**fields: Any) -> Record:
    """Return a record of a failed trial."""
    failure = Failure(arm="dsd", phase="sparse", step=17, message="the loss is nan\nin batch 3")
    empty: dict[str, Any] = {"dense": None, "arms": {}, "bootstrap": {}}
    return record().model_copy(update={"status": "failed", "failure": failure} | empty | fields).sealed()


def trio(gains: tuple[float, ...] = (0.1, 0.5, 0.3), **fields: Any) -> list[Record]:
    """Return one record per seed; `gains` are the gains of DSD over control."""
    controls = (40.0, 40.5, 40.4, 40.2, 40.3)
    return [
        record(seed=s, baseline=42.0 + 0.2 * s, arms={"dsd": (41.0, c - g), "control": (41.2, c)}, **fields)
        for s, (c, g) in enumerate(zip(controls, gains, strict=False))
    ]


def everything() -> list[Record]:
    """Return the golden records: two scales, groups of one and three, old, failed, custom and synthetic ones, and a planned row."""
    top5 = {"top5_error": 16.5}
    small = [
        record(seed=0, baseline=42.0, arms={"dsd": (41.0, 39.9), "control": (41.2, 40.0)}, other_metrics=top5),
        record(
            seed=1, baseline=42.4, arms={"dsd": (41.4, 40.0), "control": (41.5, 40.5)}, other_metrics=top5, dirty=True
        ),
        record(seed=2, baseline=42.2, arms={"dsd": (41.2, 40.1), "control": (41.3, 40.4)}, other_metrics=top5),
    ]
    superseded = record(seed=0, arms={"dsd": (50.0, 50.0), "control": (60.0, 60.0)}, finished="2029-12-31T10:00:00Z")
    broken = failed(id="imagenet_resnet18-small-s3-failed", seed=3)
    custom = record(
        id="imagenet_resnet18-small-s0-custom", custom=["sparsity=0.9"], recipe_hash="c0570c0570c0", half_width=None
    )
    all_arms = {"dsd": (28.2, 27.3), "control": (29.0, 28.8), "llr": (29.5, 29.4), "random": (29.6, 28.9)}
    top5_vgg = {"top5_error": 8.7}
    vgg = record("imagenet_vgg16", "paper", baseline=31.6, data="ImageNet", other_metrics=top5_vgg, arms=all_arms)
    smoke = record(scale="smoke", data="stripes", synthetic=True, arms={"dsd": (70.0, 30.0), "control": (70.0, 60.0)})
    return [*small, superseded, broken, custom, vgg, smoke, *captions(), *utterances(), *sweep(), *noisy(), *planned()]


def planned(
    gains: tuple[float, ...] = regime.GAINS, row: str = "imagenet_resnet18", train: float = 30.0, **fields: Any
) -> list[Record]:
    """Return one record per seed of a planned row whose networks have converged; `gains` are those of DSD over control.

    From the sixth seed on, the other numbers are those of the fifth seed.
    """
    found = []
    for seed, gain in enumerate(gains):
        index = min(seed, len(regime.CONTROLS) - 1)
        arms = regime.arms(regime.CONTROLS[index], gain, regime.TEXT_GAINS[index])
        plain = record(
            row, seed=seed, baseline=60.0, arms=arms, id=f"{row}-small-s{seed}-planned", **(regime.fields(row) | fields)
        )
        found.append(regime.converged(plain, train))
    return found


SWEPT = {"dsd-0": 0.0, "dsd-10": 0.1, "dsd-25": 0.2, "dsd-50": 0.4, "dsd-70": 0.1, "dsd-80": -0.5, "dsd-90": -2.0}
"""Arm to its mean gain over the control, in points."""
OTHERS = {"llr": -0.3, "random": -0.4, "dsd-twice": 0.2, "control-keep": 0.1, "dsd-keep": 0.3, "swa": 0.6, "sam": 0.8}


def sweep(seeds: int = 3, row: str = "imagenet_resnet50", **fields: Any) -> list[Record]:
    """Return one record per seed with every arm; gains are those of `SWEPT` and `OTHERS`, and 0.3 for DSD.

    The gain of arm k, counted from 0, is 0.1 (k + 1) points higher in seed 1, and lower by as much in seed 2.
    """
    found = []
    for seed in range(seeds):
        control = 40.0 + 0.2 * seed
        arms: dict[str, tuple[float, ...]] = {"control": (41.0, control)}
        for k, (name, gain) in enumerate({"dsd": 0.3, **SWEPT, **OTHERS}.items()):
            end = round(control - gain - (0.0, 0.1, -0.1)[seed % 3] * (k + 1), 6)
            arms[name] = (41.5, end + 0.5, end + 0.5, end) if name == "dsd-twice" else (41.5, end)
        found.append(_with_data(record(row, seed=seed, arms=arms, half_width=0.1, **fields), {}))
    return found


def noisy(seeds: int = 3, row: str = "imagenet_resnet50", overfits: bool = True, **fields: Any) -> list[Record]:
    """Return one record per seed of the recipe of `sweep` with a fifth of the labels wrong.

    D2 lowers the training error from 50 to 20 % for DSD, and to 40 % for the control. DSD's test error changes in D2 by
    0.5 + 0.1 x seed points: it rises if DSD `overfits`, and falls otherwise. The control's falls by half a point.
    """
    found = []
    for seed in range(seeds):
        step = (0.5 + 0.1 * seed) * (1 if overfits else -1)
        arms = {"dsd": (44.0, 44.0 + step), "control": (44.5, 44.0)}
        plain = record(
            row,
            seed=seed,
            baseline=46.0,
            arms=arms,
            id=f"{row}-small-s{seed}-noise",
            custom=["label_noise=0.2"],
            recipe_hash="b015e0b015e0",
            half_width=0.1,
            **fields,
        )
        plain = _with_data(plain, {"label_noise": 0.2})
        trained = {"dsd": (50.0, 20.0), "control": (50.0, 40.0)}
        made = {name: _trained(plain.arms[name], values) for name, values in trained.items()}
        found.append(plain.model_copy(update={"arms": made}).sealed())
    return found


def _with_data(plain: Record, settings: dict[str, Any]) -> Record:
    """Return the record with these settings of its recipe's data."""
    return plain.model_copy(update={"recipe": plain.recipe | {"data": settings}}).sealed()


def _trained(arm: Arm, values: tuple[float, ...]) -> Arm:
    """Return the arm with these training errors at its curve's points."""
    points = [
        point.model_copy(update={"train": point.train | {"top1_error": value}})
        for point, value in zip(arm.curve, values, strict=True)
    ]
    return arm.model_copy(update={"curve": points})


def captions(gains: tuple[int, ...] = (1, 2, 3), scale: str = "paper", **fields: Any) -> list[Record]:
    """Return one captioning record per seed; `gains` are the differences in matching captions, DSD minus control."""
    found = []
    for seed, gain in enumerate(gains):
        end = 20 + seed
        quality = {
            "dense": [(end - 5, 21.0), (end - 3, 22.0)],
            "control": [(end - 1, 19.0), (end - 2, 20.0), (end - 1, 20.2), (end, 20.5)],
            "dsd": [(end - 6, 25.0), (end + 1, 18.0), (end, 18.4), (end + gain, 18.5)],
        }
        arms = {"control": (0.0, 0.0), "dsd": (0.0, 0.0)}
        plain = record("flickr8k_neuraltalk", scale, seed, metric="bleu4", lower_is_better=False, arms=arms, **fields)
        found.append(captioning.captioned(plain, quality))
    return found


def utterances(
    gains: tuple[int, ...] = (1, 2, 3), scale: str = "paper", data: str = "LibriSpeech", **fields: Any
) -> list[Record]:
    """Return one speech record per seed, with two iterations; `gains` are the differences in wrong words, control minus DSD.

    The control has 75 + seed wrong words after the first iteration, and 66 + seed after the second.
    """
    found = []
    for seed, gain in enumerate(gains):
        errors = {
            "dense": [90 + 2 * seed],
            "control": [80, 75 + seed, 70, 66 + seed],
            "dsd": [84 + seed, 73 + 2 * seed, 72 - seed, 66 + seed - gain],
            "llr": [84, 80, 78, 77 + seed],
            "random": [88, 78, 80, 72 + seed],
        }
        arms = {name: (0.0,) * 4 for name in errors if name != "dense"}
        plain = record("librispeech_deepspeech2", scale, seed, metric="wer", arms=arms, data=data, **fields)
        found.append(speech.spoken(plain, errors))
    return found


def _arm(name: str, metric: str, lower_is_better: bool, values: tuple[float, ...], others: dict[str, float]) -> Arm:
    masked = name == "random" or name.startswith("dsd")
    kept = 10 - int(name[4:]) // 10 if name[4:].isdigit() else 7
    phases = []
    for index, value in enumerate(values):
        sparse = masked and index % 2 == 0
        mask = [LayerMask(name="conv.weight", weights=10, kept=kept, zeros=10 - kept)] if sparse else None
        phases.append(
            PhaseResult(
                kind="sparse" if sparse else "redense" if masked else "dense",
                steps=10,
                epochs=1.0 if name != "dense" else 2.0,
                first_lr=0.1,
                last_lr=0.1,
                test={metric: value, **others},
                mask=mask,
                cost=Cost(seconds=5.0, steps=10, samples=320),
            )
        )
    right = round(10 * (100 - values[-1] if lower_is_better else values[-1]))
    curve = [
        Point(step=10 * (i + 1), epoch=sum(p.epochs for p in phases[: i + 1]), lr=0.1,
              train={"loss": value / 20, metric: value / 2}, test=phases[i].test)
        for i, value in enumerate(values)
    ]  # fmt: skip
    return Arm(
        phases=phases,
        test=phases[-1].test,
        curve=curve,
        outcomes=example_outcomes.pack_outcomes(np.arange(1000) < right),
        first_step_in_lr=[1.0] * len(phases),
        samples=[],
        cost=Cost(seconds=5.0 * len(phases), steps=10 * len(phases), samples=320 * len(phases)),
    )


def main() -> None:
    """Write the records and the tables again."""
    for path in (FOLDER / "records").glob("*.json"):
        path.unlink()
    for made in everything():
        store.write(made, FOLDER / "records")
    results_folder.write(FOLDER, store.read_all(FOLDER / "records"))


if __name__ == "__main__":
    main()
