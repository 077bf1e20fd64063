from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from benchmarks.analysis.groups import group_records
from benchmarks.cli.display import Display
from benchmarks.records import schema, store
from benchmarks.records.example_outcomes import pack_outcomes, unpack_outcomes
from benchmarks.statistics.bootstrap import score
from benchmarks.training.interruption import Stop
from benchmarks.training.trial import Trial
from tasks.task import Evaluation
from tests.benchmarks import toy
from tests.golden import build


@pytest.fixture
def path(tmp_path: Path) -> Path:
    display = Display(Console(file=io.StringIO()), 100, toy.ERROR, toy.BATCH)
    return Trial(toy.plan(tmp_path, arms=("control", "dsd")), toy.ToyTask(), display, Stop()).run()


def test_a_record_is_read_as_it_was_written(path: Path) -> None:
    record = store.read(path)
    assert path.stem == record.id
    assert record.content_hash == schema.Record.model_validate(record.model_dump()).sealed().content_hash
    assert store.read_all(path.parent) == [record]


def test_a_record_is_never_replaced(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        store.write(store.read(path), path.parent)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda r: r["arms"]["dsd"]["test"].update(error=0.0), "changed after it was written"),
        (lambda r: r.update(seed=5), "changed after it was written"),
        (lambda r: r.update(extra=1), "not a readable record"),
        (lambda r: r.pop("commit"), "not a readable record"),
        (lambda r: r.update(schema_version=2), "not a readable record"),
        (lambda r: r["cost"].update(seconds="fast"), "not a readable record"),
    ],
)
@pytest.mark.promise(10)
def test_a_changed_record_is_refused_by_name(path: Path, edit: object, message: str) -> None:
    content = json.loads(path.read_text())
    edit(content)  # type: ignore[operator]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message) as caught:
        store.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.promise(10)
def test_a_renamed_or_cut_record_is_refused(path: Path) -> None:
    other = path.with_name("other.json")
    other.write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="rename the file to"):
        store.read(other)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="not a readable record"):
        store.read(path)


@pytest.mark.parametrize("outcomes", [[1.0, 0, 0, 1, 1, 0, 1, 0, 1], [], [0.25, 1.5]])
def test_outcomes_survive_packing(outcomes: list[float]) -> None:
    assert unpack_outcomes(pack_outcomes(np.array(outcomes))).tolist() == outcomes


def test_the_text_forms_of_outcomes_stay_as_older_records_have_them() -> None:
    assert pack_outcomes(np.array([1.0, 0, 0, 1, 1, 0, 1, 0, 1])) == "bits:9:moA="  # 10011010 1
    assert pack_outcomes(np.array([0.25, 1.5])) == "float32:2:AACAPgAAwD8="  # 3E800000, 3FC00000
    assert unpack_outcomes("bits:9:moA=").tolist() == [1, 0, 0, 1, 1, 0, 1, 0, 1]
    assert unpack_outcomes("float32:2:AACAPgAAwD8=").tolist() == [0.25, 1.5]


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        ([[3, 0, 9, 255], [2, 1, 7, 6], [0, 0, 1, 0]], "uint8:3x4:"),
        ([[3, 256]], "uint16:1x2:"),
        ([[-2, 40], [5, 5]], "int16:2x2:"),
        ([[-2, 40_000]], "int32:1x2:"),
    ],
)
def test_counts_survive_packing_in_the_smallest_type(counts: list[list[int]], kind: str) -> None:
    text = pack_outcomes(np.array(counts, dtype=np.float64))
    assert text.startswith(kind)
    back = unpack_outcomes(text)
    assert back.dtype == np.float64
    assert back.tolist() == counts


def test_counts_of_a_whole_test_set_take_little_room() -> None:
    totals = np.maximum(np.random.default_rng(0).integers(6, 15, 1000)[:, None] - np.arange(4), 0)
    hits = np.random.default_rng(1).binomial(totals, (0.5, 0.2, 0.1, 0.04))
    assert len(pack_outcomes(np.hstack([hits, totals]).astype(float))) < 6_000


@pytest.mark.parametrize(("counts", "named"), [([[0.5, 1]], "whole numbers, got 0.5"), ([[0, 3e9]], "to 3e\\+09")])
def test_counts_that_are_none_are_refused(counts: list[list[float]], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        pack_outcomes(np.array(counts))


def test_a_record_from_before_the_features_is_read(tmp_path: Path) -> None:
    content = json.loads(store.write(build.record(), tmp_path).read_text())
    assert content["data"].pop("features") == ""
    older = tmp_path / "older.json"
    content["id"] = "older"
    facts = {key: value for key, value in content.items() if key != "content_hash"}
    content["content_hash"] = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    older.write_text(json.dumps(content))
    assert store.read(older).data.features == ""


def test_records_of_other_features_are_another_group() -> None:
    one, other = build.record(seed=0), build.record(seed=1)
    data = other.data.model_copy(update={"features": "another network's", "fingerprint": "e2" * 8})
    assert len(group_records([one, other])) == 1
    assert len(group_records([one, other.model_copy(update={"data": data})])) == 2


def test_a_record_of_a_full_captioning_trial_is_small(tmp_path: Path) -> None:
    record = build.captions((1,))[0]
    assert record.dense is not None
    whole = np.hstack(
        [np.random.default_rng(1).binomial(t := np.random.default_rng(0).integers(3, 15, (1000, 4)), 0.3), t]
    )
    long = {
        "curve": [p.model_copy(update={"test": {k: v / 3 for k, v in (p.test or {}).items() if "beam" not in k}})
                  for p in record.arms["dsd"].curve[:1] * 16],
        "outcomes": pack_outcomes(whole.astype(float)),
        "samples": record.arms["dsd"].samples * 4,
    }  # fmt: skip
    arms = {name: record.arms["dsd"].model_copy(update=long) for name in ("control", "dsd", "llr", "random")}
    record = record.model_copy(update={"arms": arms, "dense": record.dense.model_copy(update=long)})
    path = store.write(record, tmp_path)
    assert path.stat().st_size < 100_000
    assert store.read(path).model_dump() == record.sealed().model_dump()
    points = [line for line in path.read_text().splitlines() if '"step"' in line]
    assert len(points) == 5 * 16  # one line each


def test_a_trial_of_a_corpus_metric_records_counts_and_their_bootstrap(tmp_path: Path) -> None:
    class Corpus(toy.ToyTask):
        def evaluate(self, model: torch.nn.Module, thorough: bool) -> Evaluation:
            found = super().evaluate(model, thorough)
            words = torch.arange(20) % 3 + 1  # an example of three words counts as much as three examples of one word
            counts = torch.stack([words * found.outcomes, words], dim=1)
            return Evaluation({toy.ERROR.name: 100 - float(100 * counts[:, 0].sum() / counts[:, 1].sum())}, counts)

    display = Display(Console(file=io.StringIO()), 100, toy.ERROR, toy.BATCH)
    plan = toy.plan(tmp_path, arms=("control", "dsd"))
    record = store.read(Trial(plan, Corpus(), display, Stop()).run())
    dsd, control = record.arms["dsd"], record.arms["control"]
    assert dsd.outcomes.startswith("uint8:20x2:")
    assert score(unpack_outcomes(dsd.outcomes)) == pytest.approx(100 - dsd.test["error"])
    assert record.bootstrap["dsd"].mean == pytest.approx(control.test["error"] - dsd.test["error"])
