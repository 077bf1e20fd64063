"""The workflows and the Dockerfile call existing sessions of nox; the Dockerfile calls those of the README."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.rows import ROWS

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
NOXFILE = (ROOT / "noxfile.py").read_text(encoding="utf-8")
SESSIONS = {*ROWS, *re.findall(r"^@nox\.session\ndef (\w+)\(", NOXFILE, re.MULTILINE)}
CALLS = {"lint": "lint", "tests": "tests", "docs": "docs", "tables": "tables", "release": "package"}


def test_each_workflow_calls_its_session() -> None:
    called = {one.stem: re.findall(r"nox -s (\w+)", one.read_text(encoding="utf-8")) for one in WORKFLOWS}
    assert called == {name: [session] for name, session in CALLS.items()}
    assert set(CALLS.values()) <= SESSIONS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_valid_yaml_with_jobs_that_run_something_and_may_do_little(path: Path) -> None:
    yaml: Any = pytest.importorskip("yaml", reason="PyYAML is not installed: nox -s docs runs this")
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["name"] == path.stem
    assert workflow[True]  # YAML 1.1 reads the key `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert job["timeout-minutes"] <= 60
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])
        # Names of tags and branches must not run as code.
        assert not any("${{" in step.get("run", "") for step in job["steps"])
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert [re.findall(r"nox -s (\w+)", command) for command in commands] == [[CALLS[path.stem]]]


def test_only_the_job_that_publishes_may_ask_for_a_token() -> None:
    yaml: Any = pytest.importorskip("yaml", reason="PyYAML is not installed: nox -s docs runs this")
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))["jobs"]
    assert "permissions" not in jobs["build"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["needs"] == "build"
    assert not any("run" in step for step in jobs["publish"]["steps"])


def test_the_dockerfile_runs_the_two_commands_of_the_readme() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    wanted = re.findall(r"^pip install nox && .*$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    run = re.findall(r"^RUN (pip .*)$", dockerfile, re.MULTILINE)
    (command,) = re.findall(r"^CMD (.*)$", dockerfile, re.MULTILINE)
    shell, option, last = json.loads(command)
    assert (shell, option) == ("sh", "-c")
    assert [*run, last] == wanted
    assert len(wanted) == 2
