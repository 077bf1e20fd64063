"""No code of the suite can execute the content of a file: the tests search its syntax trees for every call that could.

The suite does not extract archives either. If it ever does, the tests accept only tarfile's data filter.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.promise(5)

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(path for folder in ("dsd", "tasks", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
CODE.append(ROOT / "noxfile.py")

MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "tarfile", "zipfile"}
"""Modules that unpickle, or that unpack archives without the filter of `shutil.unpack_archive`."""

NAMES = {
    "builtins.eval",
    "builtins.exec",
    "builtins.compile",
    "builtins.__import__",
    "os.system",
    "os.popen",
    "pandas.read_pickle",
    "runpy.run_path",
    "scipy.io.loadmat",
    "torch.hub",
    "torch.jit",
    "torch.package",
    "torch.serialization.add_safe_globals",
    "torch.serialization.safe_globals",
    "torch.utils.cpp_extension",
    "yaml.full_load",
    "yaml.load",
    "yaml.unsafe_load",
}
"""Functions that execute a file or code from one. The name of a module stands for everything in it."""

ENDINGS = ("_object", "_object_list")  # torch.distributed's collectives that unpickle what another process sent
COLLECTIVES = ("all_gather", "broadcast", "gather", "recv", "scatter", "send")

ARGUMENTS = {
    "torch.load": ("weights_only", True, False),
    "numpy.load": ("allow_pickle", False, True),
    "shutil.unpack_archive": ("filter", "data", False),
}
"""Calls that are safe with one value of one argument: the argument, the value, and whether it may be left out."""

ALLOWED = {
    ("dsd/parameters.py", "torch.jit.ScriptModule"),  # a type to refuse
    ("benchmarks/training/checkpoint.py", "zipfile"),  # compares checksums, extracts nothing
    ("tasks/flickr8k/layouts/feature_matrix.py", "scipy.io.loadmat"),  # reads only a matrix of numbers, by name
    (
        "tasks/distributed.py",
        "torch.distributed.all_gather_object",
    ),  # between processes of one run, which trust each other
    ("tasks/distributed.py", "torch.distributed.broadcast_object_list"),  # the same
    ("tasks/pretrained.py", "torch.hub.download_url_to_file"),  # a download checked against its SHA-256
    ("tasks/pretrained.py", "torch.hub.get_dir"),
    ("tasks/pretrained.py", "zipfile"),  # lists sizes, extracts nothing
}


def offences(source: str, file: str = "") -> list[str]:
    """Return the line and name of all calls in `source` that could execute or unpack the content of a file, in order."""
    tree = ast.parse(source)
    imported = dict(_imports(tree))
    inner = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    called = {node.func: node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = set()
    for node in ast.walk(tree):
        names = set()
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute | ast.Name) and node not in inner:
            names = {_full_name(node, imported)}
        elif isinstance(node, ast.Call):
            if any(word.arg == "shell" and not _is(word.value, False) for word in node.keywords):
                found.add((node.lineno, "shell"))
            if any(word.arg == "allow_pickle" and not _is(word.value, False) for word in node.keywords):
                found.add((node.lineno, "allow_pickle"))
            if _last(node.func) == "import_module" and not _of_ours(node):
                found.add((node.lineno, "import_module"))
            if _last(node.func) == "extractall" and not _has(node, *ARGUMENTS["shutil.unpack_archive"]):
                found.add((node.lineno, "extractall"))
        for name in names:
            if (file, name) in ALLOWED or (file, name.partition(".")[0]) in ALLOWED:
                continue
            if _forbidden(name) or (name in ARGUMENTS and not _has(called.get(node), *ARGUMENTS[name])):
                found.add((node.lineno, name))
    return [f"line {line}: {name}" for line, name in sorted(found)]


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the names that imports bind, and the full names that they refer to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _full_name(node: ast.expr, imported: dict[str, str]) -> str:
    """Return the full dotted name of a.b.c, with imports resolved; of an attribute of another expression, only the attribute."""
    if isinstance(node, ast.Attribute):
        return f"{_full_name(node.value, imported)}.{node.attr}"
    if isinstance(node, ast.Name):
        return imported.get(node.id, f"builtins.{node.id}")
    return ""


def _forbidden(name: str) -> bool:
    parts = name.split(".")
    prefixes = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    by_pickle = parts[-1].startswith(COLLECTIVES) and parts[-1].endswith(ENDINGS)
    return parts[0] in MODULES or bool(prefixes & NAMES) or by_pickle


def _has(call: ast.Call | None, argument: str, value: object, optional: bool) -> bool:
    """Return whether a call passes the constant `value` as `argument`, or omits it if `optional`. False without a call."""
    if call is None or any(word.arg is None for word in call.keywords):  # **settings may contain anything
        return False
    given = [word.value for word in call.keywords if word.arg == argument]
    return all(_is(one, value) for one in given) and (optional or bool(given))


def _is(node: ast.expr, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value == value and type(node.value) is type(value)


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _of_ours(call: ast.Call) -> bool:
    """Return whether the source shows that the imported module is in this suite: by a fixed prefix, or the table `_LAZY`."""
    name = call.args[0] if call.args else None
    if isinstance(name, ast.JoinedStr):
        start = name.values[0]
        return isinstance(start, ast.Constant) and str(start.value).startswith(("tasks.", "benchmarks."))
    return isinstance(name, ast.Subscript) and isinstance(name.value, ast.Name) and name.value.id == "_LAZY"


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_suite_executes_nothing_that_it_reads(path: Path) -> None:
    file = path.relative_to(ROOT).as_posix()
    assert offences(path.read_text(encoding="utf-8"), file) == []


def test_every_exception_is_still_needed() -> None:
    for file, name in sorted(ALLOWED):
        source = (ROOT / file).read_text(encoding="utf-8")
        assert any(found.split()[-1].startswith(name) for found in offences(source)), (file, name)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", ["pickle"]),
        ("import pickle as harmless\nharmless.loads(b'')", ["pickle", "pickle.loads"]),
        ("from pickle import loads as harmless\nharmless(b'')", ["pickle.loads", "pickle.loads"]),
        ("def late():\n    import cPickle", ["cPickle"]),
        ("import dill, joblib, shelve, marshal", ["dill", "joblib", "marshal", "shelve"]),
        ("import joblib.numpy_pickle", ["joblib.numpy_pickle"]),
        ("import torch\ntorch.load(p)", ["torch.load"]),
        ("import torch\ntorch.load(p, weights_only=False)", ["torch.load"]),
        ("import torch\ntorch.load(p, weights_only=1)", ["torch.load"]),
        ("import torch\ntorch.load(p, weights_only=flag)", ["torch.load"]),
        ("import torch\ntorch.load(p, **settings)", ["torch.load"]),
        ("import torch\nread = torch.load", ["torch.load"]),
        ("import torch as t\nt.load(p)", ["torch.load"]),
        ("from torch import load\nload(p, weights_only=False)", ["torch.load", "torch.load"]),
        ("import torch\ntorch.hub.load('a', 'b')", ["torch.hub.load"]),
        ("from torch import hub", ["torch.hub"]),
        ("from torch.hub import load_state_dict_from_url", ["torch.hub.load_state_dict_from_url"]),
        ("import torch.jit", ["torch.jit"]),
        ("import torch\ntorch.jit.load(p)", ["torch.jit.load"]),
        ("import torch\ntorch.serialization.add_safe_globals([f])", ["torch.serialization.add_safe_globals"]),
        ("import torch.distributed as dist\ndist.all_gather_object(a, b)", ["torch.distributed.all_gather_object"]),
        ("import torch.distributed\ngroup.broadcast_object_list(a)", ["builtins.group.broadcast_object_list"]),
        ("import numpy as np\nnp.load(p, allow_pickle=True)", ["allow_pickle", "numpy.load"]),
        ("import numpy as np\nnp.load(p, allow_pickle=flag)", ["allow_pickle", "numpy.load"]),
        ("import numpy as np\nnp.lib.format.read_array(f, allow_pickle=True)", ["allow_pickle"]),
        ("import pandas as pd\npd.read_pickle(p)", ["pandas.read_pickle"]),
        ("import yaml\nyaml.load(t, yaml.SafeLoader)", ["yaml.load"]),
        ("import yaml\nyaml.unsafe_load(t)", ["yaml.unsafe_load"]),
        ("eval(text)", ["builtins.eval"]),
        ("run = exec", ["builtins.exec"]),
        ("import builtins\nbuiltins.exec(text)", ["builtins.exec"]),
        ("compile(text, 'f', 'exec')", ["builtins.compile"]),
        ("__import__(name)", ["builtins.__import__"]),
        ("import importlib\nimportlib.import_module(name)", ["import_module"]),
        ("import importlib\nimportlib.import_module(f'{name}.task')", ["import_module"]),
        ("import os\nos.system(line)", ["os.system"]),
        ("from os import popen", ["os.popen"]),
        ("import subprocess\nsubprocess.run(line, shell=True)", ["shell"]),
        ("import subprocess as s\ns.Popen(line, shell=flag)", ["shell"]),
        ("import scipy.io\nscipy.io.loadmat(p)", ["scipy.io.loadmat"]),
        ("from scipy import io as sio\nsio.loadmat(p)", ["scipy.io.loadmat"]),
        ("from scipy.io import loadmat", ["scipy.io.loadmat"]),
        ("import tarfile\ntarfile.open(p).extractall(d)", ["tarfile", "tarfile.open", "extractall"]),
        ("archive.extractall(d, filter='tar')", ["extractall"]),
        ("import zipfile", ["zipfile"]),
        ("import shutil\nshutil.unpack_archive(p, d)", ["shutil.unpack_archive"]),
        ("import shutil\nshutil.unpack_archive(p, d, filter='fully_trusted')", ["shutil.unpack_archive"]),
    ],
)
def test_what_would_execute_or_unpack_a_file_is_found(source: str, found: list[str]) -> None:
    assert sorted(line.split()[-1] for line in offences(source)) == sorted(found)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(p, map_location='cpu', weights_only=True)",
        "import numpy as np\nnp.load(p)\nnp.load(p, allow_pickle=False)",
        "import yaml\nyaml.safe_load(t)",
        "import re\nre.compile(p)",
        "import json\njson.load(f)",
        "import torch\nmodel.eval()\ntorch.compile(model)",
        "import subprocess\nsubprocess.run(['git', 'status'], shell=False)",
        "import importlib\nimportlib.import_module(f'tasks.{domain}.task')",
        "import shutil\nshutil.unpack_archive(p, d, filter='data')",
        "import scipy.io\nscipy.io.whosmat(p)",
        "features.extract(network)",
    ],
)
def test_what_executes_nothing_passes(source: str) -> None:
    assert offences(source) == []


def test_an_exception_holds_in_its_own_file_alone() -> None:
    source = "import scipy.io\nscipy.io.loadmat(p)"
    assert offences(source, "tasks/flickr8k/layouts/feature_matrix.py") == []
    assert offences(source, "tasks/flickr8k/task.py") == ["line 2: scipy.io.loadmat"]
    everything = "import torch\ntorch.hub.load('a', 'b')"
    assert offences(everything, "tasks/pretrained.py") == ["line 2: torch.hub.load"]
