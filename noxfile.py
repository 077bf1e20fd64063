"""Sessions of the suite. `nox -l` lists them; it reads the registry and needs nothing but nox.

Most sessions share one environment (torch with its CUDA libraries takes 5 GB). It is made on first use under .nox, from the groups
in pyproject.toml and the versions pinned in requirements.lock. Some sessions, such as those of the library, have their own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

import nox
from filelock import FileLock  # comes with nox, as does virtualenv

ROOT = Path(__file__).resolve().parent
# Under the `nox` script the checkout is not on sys.path.
sys.path.insert(0, str(ROOT))

import dsd  # noqa: E402
from benchmarks.rows import ROWS  # noqa: E402

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["tests"]

PROJECT, LOCK = ROOT / "pyproject.toml", ROOT / "requirements.lock"
# Not in the shared environment, because they would determine its version of torch.
PYTEST = ["pytest", "pytest-timeout", "pytest-xdist", "hypothesis"]
FRAMEWORKS = ["lightning", "transformers[torch]", "accelerate", "timm", "schedulefree", "fastai", "scikit-learn"]
DOCS = [
    "mkdocs<2",
    "mkdocs-material",
    "mkdocstrings[python]",
    "mkdocs-include-markdown-plugin",
    "ruff",
    "pytest",
    "pytest-timeout",
]
LOCK_HEADER = "# The versions that all sessions use. Rewritten by `nox -s lock`; pip reads it as constraints.\n"


def _bin(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _requirements() -> list[str]:
    groups = nox.project.load_toml(PROJECT)["dependency-groups"]
    return [*groups["suite"], *groups["dev"], *groups["test-data"]]


def _make(session: nox.Session, environment: Path, requirements: list[str], *options: str, beside: str = "") -> None:
    """Make a virtual environment; `options` go to pip. It can also import the packages in the folder `beside`, if given."""
    shutil.rmtree(environment, ignore_errors=True)
    # virtualenv comes with nox; the standard library's venv needs a package of its own on Debian.
    session.run(sys.executable, "-m", "virtualenv", "--quiet", str(environment), external=True)
    if beside:
        (packages,) = environment.glob("lib/python*/site-packages")
        (packages / "beside.pth").write_text(f"{beside}\n")
    pip = (str(_bin(environment)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    session.run(*pip, *options, *requirements, external=True)


def _environment(
    session: nox.Session,
    name: str,
    requirements: list[str],
    *options: str,
    pinned: str = "",
    beside: str = "",
) -> str:
    """Return the python of an environment under .nox, making it first if it is not there.

    The folder's name has a hash of the requirements and pinned versions. After a change of these, sessions use a new environment,
    and running trainers keep the old one.
    """
    contents = repr((requirements, pinned, sys.version, *([beside] if beside else [])))
    environment = ROOT / ".nox" / f"{name}-{hashlib.sha256(contents.encode()).hexdigest()[:8]}"
    environment.parent.mkdir(exist_ok=True)
    with FileLock(f"{environment}.lock"):  # else two first sessions at once would delete each other's
        finished = environment / "finished"
        if not finished.exists():
            session.log(f"making {environment.name} (torch is large: a few minutes, once)")
            _make(session, environment, requirements, *options, beside=beside)
            finished.touch()
    return str(_bin(environment))


def _python(session: nox.Session) -> str:
    """Return the shared environment's python."""
    if os.environ.get("DSD_SUITE_PYTHON"):
        return os.environ["DSD_SUITE_PYTHON"]
    constraint = ("--constraint", str(LOCK))
    return _environment(session, "suite", _requirements(), *constraint, pinned=LOCK.read_text())


def _run(session: nox.Session, *arguments: str, env: dict[str, str] | None = None) -> None:
    """Run `python ARGUMENTS` in the shared environment, at the root of the checkout."""
    session.chdir(ROOT)
    # By default nox kills a trainer half a second after Ctrl-C, in the middle of its checkpoint.
    session.run(
        _python(session), *arguments, external=True, interrupt_timeout=None, terminate_timeout=None, env=env or {}
    )


def _run_row(session: nox.Session, name: str, *options: str) -> None:
    """Train a row. The trainer stops by itself if nox dies without stopping it."""
    arguments = ("-m", "benchmarks", "run", name, *options, *session.posargs)
    _run(session, *arguments, env={"DSD_STOP_WITH_PARENT": str(os.getpid())})


def _train(name: str, title: str, dataset: str) -> None:
    def train(session: nox.Session) -> None:
        _run_row(session, name)

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
        _run_row(session, name, "--subset", "0.35", "--fresh")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, on every core."""
    _run(session, "-m", "pytest", "-n", "auto", "--dist", "worksteal", *session.posargs)


@nox.session
def integrations(session: nox.Session) -> None:
    """Run tests/integrations with current releases of the frameworks, in an environment of its own."""
    python = _environment(session, "integrations", [*FRAMEWORKS, *PYTEST])
    # The scripts of examples/ use this wheel, as a user's scripts would; the other tests import the checkout.
    session.run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", str(ROOT), external=True)
    # Many warnings of the frameworks are not about our code. The warnings of dsd itself are errors.
    warnings = ("-W", "default", "-W", "error:pruned weights")
    session.chdir(ROOT)
    test = (python, "-m", "pytest", "tests/integrations", *warnings, *session.posargs)
    session.run(*test, external=True, env={"DSD_FROM_WHEEL": "1"})


@nox.session
def engines(session: nox.Session) -> None:
    """Run campaigns through Ray and submitit and compare with a plain run, in an environment on top of the shared one."""
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    suite = str(session.run(_python(session), "-c", where, external=True, silent=True)).strip()
    groups = nox.project.load_toml(PROJECT)["dependency-groups"]
    more = [*groups["ray"], *groups["submitit"], *groups["tensorboard"]]
    python = _environment(session, "engines", more, "--constraint", str(LOCK), pinned=LOCK.read_text(), beside=suite)
    session.chdir(ROOT)
    session.run(
        python, "-m", "pytest", "tests/campaign", "tests/benchmarks/test_progress.py", *session.posargs, external=True
    )


@nox.session
def library(session: nox.Session) -> None:
    """Run tests/dsd on the oldest torch that the library takes and on the newest, each in an environment of its own."""
    dependencies = nox.project.load_toml(PROJECT)["project"]["dependencies"]
    oldest = [one.replace("torch>=", "torch==") for one in dependencies]
    session.chdir(ROOT)
    for name, requirements in (("oldest", oldest), ("newest", dependencies)):
        python = _environment(session, f"library-{name}", [*requirements, *PYTEST])
        session.run(python, "-c", "import torch; print('torch', torch.__version__)", external=True)
        session.run(python, "-m", "pytest", "tests/dsd", *session.posargs, external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the library's site into site/, in an environment of its own; a warning is an error."""
    python = _environment(session, "docs", DOCS)
    session.chdir(ROOT)
    # PyYAML comes with mkdocs, and the workflows are read with it.
    session.run(python, "-m", "pytest", "--noconftest", "tests/test_docs.py", "tests/test_workflows.py", external=True)
    build = (python, "-m", "mkdocs", "build", "--strict", *session.posargs)
    session.run(*build, external=True, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def package(session: nox.Session) -> None:
    """Build the library's sdist and wheel into dist/ and check them (`-- --tag TAG`: it must be "v" and the version)."""
    wanted = f"v{dsd.__version__}"
    if session.posargs and session.posargs != ["--tag", wanted]:
        session.error(f"{' '.join(session.posargs)}: the only tag of this version is {wanted}")
    python = _environment(session, "package", ["build", "twine"])
    session.chdir(ROOT)
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run(python, "-m", "build", external=True)  # the wheel is built from the sdist
    made = sorted(str(one) for one in (ROOT / "dist").iterdir())
    session.run(python, "-m", "twine", "check", "--strict", *made, external=True)


@nox.session
def evidence(session: nox.Session) -> None:
    """Run the trials that results/ wants and lacks, in the order that resolves most (`-- --data DIR`, `-- --plan`)."""
    _run(session, "-m", "benchmarks", "evidence", *session.posargs, env={"DSD_STOP_WITH_PARENT": str(os.getpid())})


@nox.session
def resume(session: nox.Session) -> None:
    """Kill trials at every moment, by every signal, alone and in pairs, and compare what they give when run again."""
    _run(session, "-m", "tests.trust.matrix", *session.posargs)


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
    """Verify a data set (`-- ROW --data DIR`), make one of the plan (`-- prepare NAME --from DIR`), or verify the embedded ones."""
    if session.posargs and session.posargs[0] == "prepare":
        _run(session, "-m", "benchmarks", *session.posargs)
        return
    if session.posargs:
        _run(session, "-m", "benchmarks", "verify", *session.posargs)
        return
    for row in {row.domain: row for row in ROWS.values()}.values():
        _run(session, "-m", "benchmarks", "verify", row.name)


@nox.session
def perf(session: nox.Session) -> None:
    """Measure costs as ratios and compare them with the saved ones (`-- --save` keeps the new ones)."""
    _run(session, "-m", "benchmarks.perf", *session.posargs)


@nox.session
def gpu(session: nox.Session) -> None:
    """Run the tests, measurements and trials that need a GPU, in nine minutes (`-- --data DIR`, `-- --device cpu --rehearse`)."""
    _run(session, "-m", "benchmarks.perf.gpu", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Rewrite requirements.lock: the newest versions that pyproject.toml admits, tried together in a new environment."""
    fresh = ROOT / ".nox" / "lock"
    _make(session, fresh, _requirements())
    frozen = session.run(str(_bin(fresh)), "-m", "pip", "freeze", external=True, silent=True)
    LOCK.write_text(f"{LOCK_HEADER}{frozen}")
    shutil.rmtree(fresh)
