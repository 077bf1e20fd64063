"""The performance run on a GPU: its parts are independent, and it ends in time. The measurements are tried on a CPU."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks import ROOT
from benchmarks.perf.gpu import __main__ as gpu
from benchmarks.perf.gpu import losses
from benchmarks.perf.gpu.parts import Ended, Part, run_all
from benchmarks.rows import ROWS

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)"
OBEDIENT = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); time.sleep(60)"


def part(name: str, code: str, share: float | None = 0.5) -> Part:
    return Part(name, (sys.executable, "-c", code), share)


def test_a_part_that_fails_or_overruns_ends_no_other_and_the_last_runs_to_the_end(tmp_path: Path) -> None:
    started = time.monotonic()
    parts = [
        part("broken", "print('it broke'); raise SystemExit(3)"),
        part("slow", STUBBORN, share=0.25),
        part("fine", "pass"),
        part("last", OBEDIENT, share=None),
        part("late", "pass"),
    ]
    ended = list(run_all(parts, tmp_path, seconds=12.0, grace=1.0))
    took = time.monotonic() - started
    assert [(one.name, one.how, one.status, one.ok) for one in ended] == [
        ("broken", "failed", 3, False),
        ("slow", "too slow", -9, False),
        ("fine", "finished", 0, True),
        ("last", "stopped at the end", 143, True),
        ("late", "no time", None, False),
    ]
    assert 9.0 < took < 14.0
    assert (tmp_path / "broken.log").read_text() == "it broke\n"
    assert (tmp_path / "slow.log").read_text() == "deaf\n"


def test_the_last_part_fails_if_it_ends_badly_when_it_is_asked_to_stop(tmp_path: Path) -> None:
    code = OBEDIENT.replace("143", "1")
    (ended,) = run_all([part("last", code, share=None)], tmp_path, seconds=4.0, grace=1.0)
    assert (ended.how, ended.status, ended.ok) == ("failed", 1, False)


def test_children_of_a_part_end_with_it(tmp_path: Path) -> None:
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']).pid)"
    (ended,) = run_all([part("parent", code)], tmp_path, 60.0)
    child = Path("/proc") / (tmp_path / "parent.log").read_text().strip() / "stat"
    assert ended.ok
    for _ in range(50):
        if not child.exists() or child.read_text().split()[2] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the child lives")


@pytest.mark.parametrize(("code", "status"), [("pass", 0), ("raise SystemExit(1)", 1)])
def test_the_exit_status_tells_whether_a_part_failed(
    code: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "parts", lambda given: [part("losses", code), part("rows", "raise SystemExit(1)")])
    assert gpu.main(gpu.Options(out=tmp_path, device="cpu", rehearse=True, only=("losses",))) == status
    lines = [json.loads(line) for line in (tmp_path / "measured.jsonl").read_text().splitlines()]
    assert [line["part"] for line in lines] == ["machine", "losses"]
    assert lines[0]["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert lines[1]["status"] == status
    assert re.search(rf"\| losses \| {'failed' if status else 'finished'} \| {status} \|", capsys.readouterr().out)


def test_what_cannot_start_is_refused_before_any_part_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="--device cpu: only --rehearse runs there"):
        gpu.main(gpu.Options(out=tmp_path / "out", device="cpu"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="torch sees no GPU here"):
        gpu.main(gpu.Options(out=tmp_path / "out"))
    with pytest.raises(ValueError, match=r"none of flickr8k, .* is there"):
        gpu.parts(gpu.Options(data=tmp_path))
    assert not (tmp_path / "out").exists()


def test_trials_are_of_the_rows_whose_data_are_there(tmp_path: Path) -> None:
    for name in ("noisy-digits-0db", "flickr8k"):  # the frozen network for captions is missing
        (tmp_path / name).mkdir()
    *others, trials = gpu.parts(gpu.Options(data=tmp_path, jobs=3))
    words = list(trials.command)
    assert words[words.index("--rows") + 1 :] == ["librispeech_deepspeech2"]
    assert trials.share is None
    assert sum(one.share or 0 for one in others) <= 0.75


def test_the_part_of_tests_has_every_file_whose_tests_need_a_gpu() -> None:
    needs = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if "not torch.cuda.is_available()" in path.read_text(encoding="utf-8") and path != Path(__file__)
    }
    assert needs == set(gpu.TESTS)


def test_losses_differ_by_what_they_differ() -> None:
    assert losses.difference([1.0, 2.0], [1.0, 2.0]) == 0.0
    assert losses.difference([1.0, 2.002], [1.0, 2.0]) == pytest.approx(1e-3)
    assert losses.difference([1.0, float("nan")], [1.0, 2.0]) == float("inf")
    assert set(json.loads(losses.PATH.read_text())) == set(ROWS)


def test_the_tables_are_of_this_run(tmp_path: Path) -> None:
    speed = {"part": "rows", "row": "r", "what": "w", "samples_per_second": 1234.5, "share_of_matrix_product": 0.05}
    found = [speed | {"row": "earlier"}, {"part": "machine"}, speed | {"gpu_utilisation": 0.4, "time_over_timm": 0.987}]
    (tmp_path / "measured.jsonl").write_text("\n".join(map(json.dumps, found)))
    lines = gpu.table([Ended("rows", "too slow", -15, 9.0)], tmp_path)
    assert lines[2] == "| rows | too slow | -15 | 9 |"
    assert lines[6:8] == ["| r, w | 1,234 | 0.99 | 40% | 5.0% |", ""]
    assert lines[-1].startswith("0 records in ")
