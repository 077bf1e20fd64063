"""The progress file of a trial: its lines, and that a resumed trial neither repeats nor omits lines."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.__main__ import main
from benchmarks.cli.display import Display
from benchmarks.records import progress
from benchmarks.records.progress import Writer
from benchmarks.training import lock, progress_writer, step_metrics
from benchmarks.training.interruption import InterruptedTrial, Stop
from benchmarks.training.learner import NonFiniteError
from benchmarks.training.trial import Trial
from tests.benchmarks import toy
from tests.benchmarks.test_trial import StopAt, run

_CLOCK = {"time", "samples_per_second", "seconds_left", "memory", "device_memory"}


def lines(out: Path) -> list[dict[str, Any]]:
    (path,) = (out / "progress").iterdir()
    return progress.read(path)


def results(out: Path) -> list[dict[str, Any]]:
    """Return evaluations and phase ends, without times."""
    kept = [line for line in lines(out) if line["event"] in ("evaluation", "phase_end")]
    return [{key: value for key, value in line.items() if key not in _CLOCK} for line in kept]


def test_a_trial_tells_its_start_losses_evaluations_phases_and_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_writer, "LINE_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(step_metrics, "EVERY", 1)
    record, _ = run(toy.ToyTask(), tmp_path, arms=("control", "dsd"))
    found = lines(tmp_path)
    first, last = found[0], found[-1]
    assert (first["event"], first["format"], first["row"], first["arms"]) == ("start", 1, "toy_row", ["control", "dsd"])
    assert (first["host"], first["pid"], first["done"], first["total"]) == (socket.gethostname(), os.getpid(), 0, 34)
    assert record.id.startswith(first["trial"])
    assert (last["event"], last["status"], last["record"]) == ("end", "finished", record.id)
    train = [line for line in found if line["event"] == "train"]
    assert len(train) == 34  # arm-steps: 10 of D, and 12 of each arm
    assert [line["step"] for line in train if line["arm"] == "dsd"] == list(range(11, 23))
    assert [line["done"] for line in train if line["arm"] == "dsd"] == list(range(12, 35, 2))
    assert {line["phase"] for line in train if line["arm"] == "dsd"} == {"sparse", "redense"}
    assert all(line["loss"] > 0 and line["lr"] > 0 and line["memory"] > 1e6 for line in train)
    assert all({"samples_per_second", "seconds_left", "epoch", "total"} <= set(line) for line in train)
    tests = [line for line in found if line["event"] == "evaluation" and line["arm"] == "dsd"]
    offset = 10
    assert [line["step"] - offset for line in tests] == [point.step for point in record.arms["dsd"].curve]
    assert [line["test"] for line in tests] == [point.test for point in record.arms["dsd"].curve]
    assert [line["train"] for line in tests] == [point.train for point in record.arms["dsd"].curve]
    ends = [line for line in found if line["event"] == "phase_end" and line["arm"] == "dsd"]
    assert [line["train"] for line in ends] == [phase.train for phase in record.arms["dsd"].phases]


def test_starts_of_phases_are_told_at_once_and_losses_every_few_seconds(tmp_path: Path) -> None:
    run(toy.ToyTask(), tmp_path, arms=("control", "dsd"))
    found = [(line["event"], line["arm"], line["step"]) for line in lines(tmp_path) if "arm" in line]
    starts = [(arm, step) for event, arm, step in found if event == "phase_start"]
    assert starts == [("dense", 1), ("control", 11), ("dsd", 11), ("control", 18), ("dsd", 18)]
    assert ("train", "dense", 5) in found  # the first reading, as D is tested after five steps
    assert sum(event == "train" for event, _, _ in found) < 34  # not of every arm-step


@pytest.mark.parametrize("step", [4, 10, 13, 16])
def test_a_resumed_trial_repeats_no_line_and_leaves_none_out(tmp_path: Path, step: int) -> None:
    run(toy.ToyTask(), tmp_path / "whole")
    with pytest.raises(InterruptedTrial):
        run(toy.ToyTask(), tmp_path / "stopped", StopAt(step))
    assert lines(tmp_path / "stopped")[-1]["status"] == "interrupted"
    run(toy.ToyTask(), tmp_path / "stopped")
    assert results(tmp_path / "stopped") == results(tmp_path / "whole")
    starts = [line for line in lines(tmp_path / "stopped") if line["event"] == "start"]
    assert [line["interruptions"] for line in starts] == [0, 1]
    assert all(line.get("status") != "interrupted" for line in lines(tmp_path / "stopped"))


def test_lines_after_the_last_checkpoint_of_a_killed_trial_go(tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    class Dying(toy.ToyTask):
        def loss(self, model: Any, batch: Any) -> Any:
            if self.served[-1] == 17:
                raise KilledError
            return super().loss(model, batch)

    run(toy.ToyTask(), tmp_path / "whole")
    with pytest.raises(KilledError):
        run(Dying(), tmp_path / "killed")  # the last checkpoint is that of the fork, at step 10 or where S ends
    (path,) = (tmp_path / "killed" / "progress").iterdir()
    with path.open("ab") as file:
        file.write(b'{"event": "train", "ste')  # an incomplete last line
    run(toy.ToyTask(), tmp_path / "killed")
    assert results(tmp_path / "killed") == results(tmp_path / "whole")


def test_a_failed_trial_says_so_and_a_fresh_one_begins_a_new_file(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError):
        run(toy.ToyTask(poison=12), tmp_path)
    last = lines(tmp_path)[-1]
    assert last["status"] == "failed"
    assert "loss is nan" in last["message"]
    display = Display(Console(file=io.StringIO()), 100, toy.ERROR, toy.BATCH)
    Trial(toy.plan(tmp_path), toy.ToyTask(), display, Stop(), fresh=True).run()
    assert [line["event"] for line in lines(tmp_path)].count("start") == 1


def test_a_file_is_cut_at_the_end_of_a_line_and_a_lost_one_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    writer = Writer(path)
    writer.write("a", n=1)
    kept = writer.length
    writer.write("b", n=2)
    assert Writer(path, kept + 3).length == kept
    assert [line["event"] for line in progress.read(path)] == ["a"]
    path.unlink()
    again = Writer(path, kept)
    again.write("c")
    assert [line["event"] for line in progress.read(path)] == ["c"]


def test_a_file_that_cannot_be_written_ends_no_trial(tmp_path: Path) -> None:
    (tmp_path / "progress").write_text("a file where the folder should be")
    run(toy.ToyTask(), tmp_path)


def test_the_latest_lines_of_a_long_file_are_read_without_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    writer = Writer(path)
    writer.write("start", host="here")
    for number in range(2000):
        writer.write("train", number=number)
    latest = progress.latest(path)
    assert (latest[0]["host"], latest[-1]["number"]) == ("here", 1999)
    assert 100 < len(latest) < 2000
    (tmp_path / "b.jsonl").write_text('{"event": "start"}\n{"event": "train"}\n{"ev')
    assert [line["event"] for line in progress.latest(tmp_path / "b.jsonl")] == ["start", "train"]
    (tmp_path / "c.jsonl").write_text("nonsense\n")
    with pytest.raises(ValueError, match=r"c\.jsonl"):
        progress.read(tmp_path / "c.jsonl")


def test_status_tells_where_a_trial_stands_and_whether_its_process_is_alive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InterruptedTrial):
        run(toy.ToyTask(), tmp_path, StopAt(14), arms=("control", "dsd"))
    (folder,) = (tmp_path / "checkpoints").iterdir()

    def told() -> dict[str, Any]:
        assert main(["status", "--out", str(tmp_path), "--json"]) == 0
        (one,) = json.loads(capsys.readouterr().out)["unfinished"]
        return dict(one)

    stopped = told()
    assert (stopped["trial"], stopped["alive"], stopped["phase"]) == (folder.name, False, "sparse")
    assert (stopped["done"], stopped["total"], stopped["metric"]) == (18, 34, "error")
    assert (stopped["host"], stopped["pid"]) == (socket.gethostname(), os.getpid())
    assert main(["status", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "sparse (S)" in shown
    assert "53%" in shown
    assert "none (last: " in shown
    with lock.held(folder, "python -m benchmarks run toy_row"):
        assert told()["alive"]
        assert main(["status", "--out", str(tmp_path)]) == 0
        assert f"runs ({socket.gethostname()}, pid {os.getpid()})" in capsys.readouterr().out
    (tmp_path / "progress" / f"{folder.name}.jsonl").unlink()  # as in results of an older suite
    assert told()["phase"] is None


@pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed here: see `nox -s engines`"
)
@pytest.mark.filterwarnings("default")
def test_tensorboard_shows_the_file_also_after_it_was_cut(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from benchmarks.cli import tensorboard
    from benchmarks.cli.options import Tensorboard

    def points(arm: str) -> list[int]:
        events = EventAccumulator(str(next((tmp_path / "tensorboard").glob(f"*/{arm}"))))
        events.Reload()
        return [event.step for event in events.Scalars("test at evaluations/error")]

    with pytest.raises(InterruptedTrial):
        run(toy.ToyTask(), tmp_path, StopAt(16), arms=("control", "dsd"))
    assert tensorboard.tensorboard(Tensorboard(out=tmp_path, once=True)) == 0
    before = points("dsd")
    run(toy.ToyTask(), tmp_path, arms=("control", "dsd"))
    assert tensorboard.tensorboard(Tensorboard(out=tmp_path, once=True)) == 0
    assert points("dsd") == [
        line["step"] for line in results(tmp_path) if (line["arm"], line["event"]) == ("dsd", "evaluation")
    ]
    assert points("dsd")[: len(before)] == before
