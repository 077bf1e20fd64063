from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from benchmarks import ROOT, evidence, lock, provenance, record
from benchmarks.console import CONSOLE
from benchmarks.evidence import FULL_LENGTH, WANTED, Standing, Wanted, following, stand
from benchmarks.options import Evidence, Run
from benchmarks.record import Record
from benchmarks.registry import ARMS, BFLOAT16, ROWS
from benchmarks.statistics import paired

RECORDS = ROOT / "results" / "records"
DEEPSPEECH = Wanted("librispeech_deepspeech", "connected-digits", seeds=3, most=10)


def standing(seeds: int, missing: int, gains: list[float], hours: float | None, target: float = 0.5) -> Standing:
    found = paired(gains) if gains else None
    wanted = dataclasses.replace(DEEPSPEECH, seeds=seeds)
    return Standing(wanted, len(gains), 0, 0, missing, found, target, hours, len(gains))


@pytest.fixture
def trials() -> list[Record]:
    found = [one for one in record.read_all(RECORDS) if (one.row, one.scale) == (DEEPSPEECH.row, "small")]
    return [one for one in found if one.recipe_hash == DEEPSPEECH.recipe_hash()][:3]


def test_every_row_of_the_paper_is_wanted_with_its_four_main_arms_and_real_arms_only() -> None:
    main = {one.row for one in WANTED if set(one.arms) == {"control", "dsd", "llr", "random"}}
    assert main == set(ROWS)
    assert all(set(one.arms) <= set(ARMS) and one.most >= one.seeds >= 3 for one in WANTED)


def test_with_a_gpu_the_four_networks_are_wanted_at_full_length_on_all_pictures(tmp_path: Path) -> None:
    assert {one.row for one in FULL_LENGTH} == {name for name in ROWS if name.startswith("imagenet_")}
    for one in FULL_LENGTH:
        options = one.options(tmp_path, 2, None)
        assert (options.full_length, options.subset, options.scale, options.arms) == (True, 1.0, "small", one.arms)
        assert one.recipe_hash() == ROWS[one.row].recipe("small", full_length=True).hash()
        # What a short trial took says nothing of one that is as long as the paper's, nor the other way round.
        short = next(trial for trial in record.read_all(RECORDS) if (trial.row, trial.scale) == (one.row, "small"))
        assert short.dense is not None
        dense = short.dense.model_copy(update={"cost": short.dense.cost.model_copy(update={"seconds": 36_000.0})})
        long = short.model_copy(update={"recipe_hash": one.recipe_hash(), "dense": dense})
        brief = next(wanted for wanted in WANTED if wanted.row == one.row and set(wanted.arms) == set(one.arms))
        assert [stand([trial], [one])[0].hours is None for trial in (short, long)] == [True, False]
        assert [stand([trial], [brief])[0].hours is None for trial in (short, long)] == [False, True]
        assert stand([short, long], [brief])[0].hours == stand([short], [brief])[0].hours


def test_what_is_there_is_counted_by_recipe_data_and_arms(trials: list[Record]) -> None:
    (one,) = stand(trials, [DEEPSPEECH])
    assert (one.have, one.missing, one.next_seed) == (3, 0, 3)
    assert one.hours == pytest.approx(sum(trial.cost.seconds for trial in trials) / 3 / 3600, rel=1e-3)
    assert one.target == pytest.approx(1.35 / 2)  # half the paper's gain at equal epochs, Table 7
    more = dataclasses.replace(DEEPSPEECH, arms=(*DEEPSPEECH.arms, "swa"))
    (other,) = stand(trials, [more])
    assert (other.have, other.missing, other.next_seed) == (0, 3, 0)
    assert other.hours is not None
    dense = sum(trial.dense.cost.seconds for trial in trials if trial.dense) / 3 / 3600
    assert other.hours == pytest.approx(dense + (one.hours - dense) * 5 / 4, rel=1e-3)  # an arm more
    for changed in ({"data": "other"}, {"subset": 0.5}):
        (elsewhere,) = stand(trials, [dataclasses.replace(DEEPSPEECH, **changed)])  # type: ignore[arg-type]
        assert (elsewhere.have, elsewhere.found) == (0, None)


def test_a_seed_left_out_is_run_before_a_higher_one(trials: list[Record]) -> None:
    (one,) = stand([trial for trial in trials if trial.seed != 1], [DEEPSPEECH])
    assert (one.have, one.missing, one.next_seed) == (2, 1, 1)


def test_too_few_seeds_come_first_the_emptiest_and_cheapest_before_others() -> None:
    dear, cheap = standing(3, 3, [], 2.0), standing(3, 3, [], 0.5)
    begun, open_ = standing(3, 2, [0.1], 0.1), standing(3, 0, [1.0, -1.0, 0.5], 0.01)
    assert following([open_, begun, dear, cheap]) is cheap
    assert following([open_, begun, dear]) is dear
    assert following([open_, begun]) is begun
    assert following([standing(5, 2, [0.1, 0.2, 0.3], 0.1), begun]) is begun  # a verdict before a fourth seed
    assert following([open_]) is open_


def test_then_whatever_narrows_most_per_hour_in_units_of_its_target() -> None:
    wide, narrow = standing(3, 0, [2.0, -2.0, 1.0], 1.0), standing(3, 0, [1.0, -1.0, 0.5], 1.0)
    assert following([narrow, wide]) is wide
    assert following([narrow, dataclasses.replace(wide, hours=10.0)]) is narrow
    assert following([narrow, dataclasses.replace(wide, target=5.0)]) is narrow
    exact = standing(3, 0, [0.1, -0.1, 0.0], 0.1)
    full = dataclasses.replace(wide, next_seed=None)
    assert exact.narrow
    assert not full.narrow
    assert following([exact, full]) is None


def test_an_interval_that_excludes_zero_does_not_end_the_search() -> None:
    away = standing(3, 0, [9.0, 10.0, 11.0], 0.1)
    assert away.found is not None
    assert away.found.interval is not None
    assert away.found.interval[0] > 0
    assert not away.narrow
    assert following([away]) is away


def test_a_seed_that_is_missing_with_more_arms_too_is_trained_with_all_of_them() -> None:
    few = standing(3, 3, [], 0.1)
    many = dataclasses.replace(few, wanted=dataclasses.replace(few.wanted, arms=(*few.wanted.arms, "swa")), hours=9.0)
    assert following([few, many]) is many
    assert following([few, dataclasses.replace(many, next_seed=1)]) is few
    elsewhere = dataclasses.replace(many, wanted=dataclasses.replace(many.wanted, subset=0.5))
    assert following([few, elsewhere]) is few


def test_trials_that_are_not_of_the_table_cell_do_not_count(trials: list[Record]) -> None:
    def have(changed: dict[str, object]) -> int:
        (one,) = stand([trials[0].model_copy(update=changed), *trials[1:]], [DEEPSPEECH])
        return one.have

    data = trials[0].data
    assert have({}) == 3
    assert have({"precision": BFLOAT16}) == 2
    assert have({"hardware": trials[0].hardware.model_copy(update={"processes": 2})}) == 2
    assert (
        have({"data": data.model_copy(update={"name": "copy"})}) == 2
    )  # a folder of another name is not what is wanted
    assert have({"data": data.model_copy(update={"fingerprint": "0" * 16})}) == 2  # the same name for another state
    more = {**trials[0].arms, "swa": trials[0].arms["control"]}
    older = trials[0].model_copy(
        update={
            "id": "older",
            "arms": {k: v for k, v in more.items() if k != "llr"},
            "finished": "2020-01-01T00:00:00Z",
        }
    )
    (one,) = stand([older, *trials], [DEEPSPEECH])  # it lacks llr, the newer swa: neither takes the other's place
    assert one.have == 3


def test_a_trial_that_broke_down_is_not_run_again(trials: list[Record]) -> None:
    broken = trials[0].model_copy(update={"status": "failed", "arms": {}})
    (one,) = stand([broken, *trials[1:]], [DEEPSPEECH])
    assert (one.have, one.failed, one.missing, one.next_seed) == (2, 1, 1, 3)
    many = [broken.model_copy(update={"seed": seed}) for seed in range(20, 40)]
    (given_up,) = stand([*many, *trials[1:]], [DEEPSPEECH])
    assert given_up.next_seed is None
    assert following([given_up]) is None


def test_the_plan_runs_nothing_and_says_what_each_row_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CONSOLE, "width", 160)
    assert evidence.evidence(Evidence(data=tmp_path / "absent", plan=True, out=RECORDS.parent)) == 0
    said = capsys.readouterr().out
    assert "n for it" in said
    assert all(ROWS[one.row].title in said for one in WANTED)


def test_full_length_asks_for_its_own_trials_and_data_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(evidence.commands, "run", lambda options: asked.append(options) or 130)
    (tmp_path / "tiny-imagenet-50").mkdir()
    assert evidence.evidence(Evidence(data=tmp_path, out=tmp_path, full_length=True)) == 130
    (options,) = asked
    assert (options.row, options.full_length, options.subset) == ("imagenet_googlenet", True, 1.0)


def test_a_trial_that_another_process_is_at_counts_as_taken_as_long_as_it_holds_the_lock(
    tmp_path: Path, trials: list[Record]
) -> None:
    options = Evidence(data=tmp_path / "data", out=tmp_path)
    more = dataclasses.replace(DEEPSPEECH, arms=(*DEEPSPEECH.arms, "swa"), seeds=5)
    wanted = (DEEPSPEECH, more)
    command = provenance.command("run", more.options(options.data, 1, options.out))
    with lock.held(tmp_path / "checkpoints" / "some-trial", command):
        running = evidence.running_elsewhere(options, tmp_path, wanted)
        assert running == {(more, 1)}
        fewer, all_arms = stand(trials[:1], wanted, running)  # seed 0 is there, with four arms
        assert (fewer.have, fewer.running, fewer.missing, fewer.next_seed) == (1, 1, 1, 2)
        assert (all_arms.have, all_arms.running, all_arms.missing, all_arms.next_seed) == (0, 1, 4, 0)
        assert following([dataclasses.replace(all_arms, missing=0)]) is None  # not before the interval is known
        assert "1 of 3, 1 running" in [*evidence.plan_table([fewer], None).columns[2].cells]
    # A lock file and its owner's line may be left behind by a process that was killed.
    folder = tmp_path / "checkpoints" / "another-trial"
    folder.mkdir()
    (folder / "lock").touch()
    (folder / "owner.json").write_text(json.dumps({"pid": 1, "host": "h", "since": "s", "command": command}))
    assert evidence.running_elsewhere(options, tmp_path, wanted) == set()


def test_a_trial_that_another_process_took_first_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def run(options: Run) -> int:
        asked.append(options.first_seed)
        if options.first_seed < 2:
            raise lock.TakenError("another process is running this trial")
        return 130

    monkeypatch.setattr(evidence.commands, "run", run)
    (tmp_path / DEEPSPEECH.data).mkdir()
    assert evidence.evidence(Evidence(data=tmp_path, out=tmp_path), (DEEPSPEECH,)) == 130
    assert asked == [0, 1, 2]


def test_absent_data_sets_are_all_named_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "flickr8k").mkdir()
    with pytest.raises(ValueError, match=r"not there: .*tiny-imagenet-50, .*squeezenet1_0.*connected-digits$"):
        evidence.evidence(Evidence(data=tmp_path, out=tmp_path))


def test_the_first_missing_trial_is_run_with_the_flags_of_its_group_and_a_stop_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(evidence.commands, "run", lambda options: asked.append(options) or 130)
    wanted = dataclasses.replace(WANTED[-1], row="imagenet_vgg16", label_noise=0.2)
    (tmp_path / "tiny-imagenet-50").mkdir()
    assert evidence.evidence(Evidence(data=tmp_path, out=tmp_path), (wanted,)) == 130
    (options,) = asked
    assert (options.row, options.scale, options.first_seed, options.seeds) == ("imagenet_vgg16", "small", 0, 1)
    assert (options.subset, options.label_noise, options.arms) == (0.25, 0.2, wanted.arms)
    assert options.data == tmp_path / "tiny-imagenet-50"


def test_a_run_that_leaves_nothing_behind_is_not_asked_for_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(evidence.commands, "run", lambda options: asked.append(options.first_seed) or 0)
    (tmp_path / DEEPSPEECH.data).mkdir()
    with pytest.raises(ValueError, match=r"seed 0 of DeepSpeech was run and left no record in .* that counts"):
        evidence.evidence(Evidence(data=tmp_path, out=tmp_path), (DEEPSPEECH,))
    assert asked == [0]
