"""Sessions of the suite. `nox -l` lists them; it reads the registry and needs nothing but nox.

All sessions run in one environment (torch with its CUDA libraries takes 5 GB), made on first use under .nox/suite from
pyproject.toml's groups and the versions pinned in requirements.lock.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
# Under the `nox` script the checkout is not on sys.path.
sys.path.insert(0, str(ROOT))

from benchmarks.registry import ROWS  # noqa: E402

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["tests"]

ENVIRONMENT = ROOT / ".nox" / "suite"
SOURCES = (ROOT / "pyproject.toml", ROOT / "requirements.lock")


def _python(session: nox.Session) -> str:
    """Return the shared environment's python, making the environment first if it is absent or out of date."""
    if os.environ.get("DSD_SUITE_PYTHON"):
        return os.environ["DSD_SUITE_PYTHON"]
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES) + sys.version.encode()).hexdigest()
    stamp = ENVIRONMENT / "made-from"
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not stamp.exists() or stamp.read_text() != wanted:
        session.log("making the environment that all sessions share (torch is large: a few minutes, once)")
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        session.run(sys.executable, "-m", "venv", str(ENVIRONMENT), external=True, silent=True)
        pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        groups = nox.project.load_toml(SOURCES[0])["dependency-groups"]
        session.run(*pip, "--constraint", str(SOURCES[1]), *groups["suite"], *groups["dev"], external=True)
        stamp.write_text(wanted)
    return str(python)


def _run(session: nox.Session, *arguments: str) -> None:
    """Run `python ARGUMENTS` in the shared environment, at the root of the checkout."""
    session.chdir(ROOT)
    # By default nox kills a trainer half a second after Ctrl-C, in the middle of its checkpoint; the trainer in turn stops
    # if nox dies without telling it.
    session.run(
        _python(session),
        *arguments,
        external=True,
        interrupt_timeout=None,
        terminate_timeout=None,
        env={"DSD_STOP_WITH_PARENT": "1"},
    )


def _train(name: str, title: str, dataset: str) -> None:
    def train(session: nox.Session) -> None:
        _run(session, "-m", "benchmarks", "run", name, *session.posargs)

    train.__doc__ = (
        f"Train {title} on {dataset} with and without DSD (generated data unless --scale and --data are given)."
    )
    nox.session(name=name, tags=["train", name.split("_")[0]])(train)


for _row in ROWS.values():
    _train(_row.name, _row.title, _row.dataset)


@nox.session
def smoke(session: nox.Session) -> None:
    """Run every row, start to end, on a tiny subset of generated data."""
    for name in ROWS:
        _run(session, "-m", "benchmarks", "run", name, "--subset", "0.35", "--fresh", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests."""
    _run(session, "-m", "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types and the direction of imports."""
    _run(session, "-m", "ruff", "check", ".")
    _run(session, "-m", "ruff", "format", "--check", ".")
    _run(session, "-m", "mypy")
    _run(session, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")


@nox.session
def tables(session: nox.Session) -> None:
    """Make the tables and figures in results/ from the records (`-- --check` only compares)."""
    _run(session, "-m", "benchmarks", "tables", *session.posargs)


@nox.session
def data(session: nox.Session) -> None:
    """Verify a data set (`-- ROW --data DIR`), or make and verify the embedded ones."""
    if session.posargs:
        _run(session, "-m", "benchmarks", "verify", *session.posargs)
        return
    for row in {row.domain: row for row in ROWS.values()}.values():
        _run(session, "-m", "benchmarks", "verify", row.name)


@nox.session
def perf(session: nox.Session) -> None:
    """Measure what masks, steps and loaders cost, as ratios (pytest-benchmark)."""
    _run(session, "-m", "pytest", "benchmarks/perf", "-q", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Rewrite requirements.lock from the shared environment (`-- --fresh` first makes it anew, from pyproject.toml alone)."""
    frozen = subprocess.run(
        [_python(session), "-m", "pip", "freeze"], check=True, capture_output=True, text=True
    ).stdout
    (ROOT / "requirements.lock").write_text(frozen)
