from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.cli import recorded_command
from benchmarks.cli.options import Run
from benchmarks.training import git_state, provenance

GIT = shutil.which("git") or "git"


def test_the_command_names_no_place_on_this_machine(tmp_path: Path) -> None:
    weights = tmp_path / "start.safetensors"
    weights.touch()
    options = Run(
        "imagenet_vgg16",
        scale="small",
        data=tmp_path / "somebody" / "pictures",
        seeds=5,
        arms=("control", "dsd", "llr"),
        fresh=True,
        dense=str(weights),
    )
    assert recorded_command.command("run", options) == (
        "python -m benchmarks run imagenet_vgg16 --scale small --data pictures --seeds 5 --arms control dsd llr "
        "--fresh --dense start.safetensors"
    )
    named = Run("imagenet_vgg16", dense="VGG16_Weights.IMAGENET1K_V1")
    assert recorded_command.command("run", named).endswith("--dense VGG16_Weights.IMAGENET1K_V1")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path.resolve()
    for name in ("results", "code"):
        (root / name).mkdir()
    (root / "code" / "a.py").write_text("1")
    (root / "results" / "table.md").write_text("1")
    git = [GIT, "-C", str(root), "-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(git_state, "ROOT", root)
    return root


def test_a_checkout_is_dirty_where_code_differs_or_is_new(checkout: Path) -> None:
    head, dirty = provenance.commit()
    assert head is not None
    assert len(head) == 40
    assert dirty is False
    (checkout / "results" / "table.md").write_text("2")
    (checkout / "notes.txt").write_text("2")
    assert provenance.commit() == (head, False)
    (checkout / "code" / "b.py").write_text("2")
    assert provenance.commit() == (head, True)
    (checkout / "code" / "b.py").unlink()
    (checkout / "code" / "a.py").write_text("2")
    assert provenance.commit() == (head, True)


@pytest.fixture
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another repository, with its own commit."""
    folder = tmp_path_factory.mktemp("other")
    git = [GIT, "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *words], check=True)
    return folder


@pytest.mark.parametrize(
    "variables",
    [
        {"GIT_DIR": "{other}/.git"},
        {"GIT_DIR": "{other}/.git", "GIT_WORK_TREE": "{ours}"},
        {"GIT_WORK_TREE": "{other}"},
        {"GIT_INDEX_FILE": "{other}/.git/index"},
        {"GIT_CEILING_DIRECTORIES": "/nowhere", "GIT_LITERAL_PATHSPECS": "1"},
        {"GIT_OBJECT_DIRECTORY": "{other}/.git/objects", "GIT_COMMON_DIR": "{other}/.git"},
    ],
)
def test_variables_of_another_repository_change_nothing(
    checkout: Path, other: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    expected = git_state.state()
    assert expected[1:] == (False, "")
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(other=other, ours=checkout))
    (checkout / "results" / "table.md").write_text("2")  # changes in results/ never count
    assert git_state.state() == expected


def git_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a program called git before the real one."""
    folder = tmp_path / "bin of another git"
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("script", "warning"),
    [
        ("echo 'fatal: detected dubious ownership' >&2; exit 128", "commit is not recorded: git says: fatal: detected"),
        ("exec sleep 60", "commit is not recorded: git did not answer within 0.5 s"),
        ("kill -9 $$", "commit is not recorded: git says: exit status -9"),
    ],
)
def test_a_git_that_fails_gives_null_and_a_warning(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, script: str, warning: str
) -> None:
    monkeypatch.setattr(git_state, "_PATIENCE", 0.5)
    git_that(tmp_path_factory.mktemp("path"), monkeypatch, script)
    head, dirty, said = git_state.state()
    assert (head, dirty) == (None, None)
    assert warning in said
    assert "\n" not in said


def test_a_state_that_git_cannot_tell_is_not_taken_for_clean(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = GIT
    only_status = f'case "$*" in *status*) echo "error: no" >&2; exit 1;; esac; exec {real} "$@"'
    git_that(tmp_path_factory.mktemp("path"), monkeypatch, only_status)
    head, dirty, said = git_state.state()
    assert head is not None
    assert dirty is None
    assert said == "the state of the working tree is not recorded: git says: error: no"


def test_without_git_the_commit_is_null(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert git_state.state() == (
        None,
        None,
        "the commit is not recorded: git cannot be started (No such file or directory)",
    )


def test_changes_that_git_was_told_to_overlook_are_not_taken_for_none(checkout: Path) -> None:
    subprocess.run([GIT, "-C", str(checkout), "update-index", "--assume-unchanged", "code/a.py"], check=True)
    (checkout / "code" / "a.py").write_text("2")
    head, dirty, said = git_state.state()
    assert head is not None
    assert dirty is None
    assert "ignore changes in 1 files, such as code/a.py" in said


@pytest.mark.parametrize("name", [b"caf\xe9", b"line\nend", "\u00fc b".encode()])
def test_a_checkout_may_lie_anywhere(checkout: Path, monkeypatch: pytest.MonkeyPatch, name: bytes) -> None:
    there = Path(os.fsdecode(os.fsencode(checkout.parent) + b"/" + name))
    checkout.rename(there)
    monkeypatch.setattr(git_state, "ROOT", there)
    head, dirty, said = git_state.state()
    assert head is not None
    assert (dirty, said) == (False, "")


def test_a_worktree_of_a_bare_repository_is_ours(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("bare")
    bare, tree = folder / "repository.git", folder / "tree"
    subprocess.run([GIT, "clone", "-q", "--bare", str(checkout), str(bare)], check=True)
    subprocess.run([GIT, "-C", str(bare), "worktree", "add", "-q", "--detach", str(tree)], check=True)
    expected = git_state.state()
    monkeypatch.setattr(git_state, "ROOT", tree.resolve())
    assert git_state.state() == expected


def test_somebody_elses_checkout_around_ours_is_not_ours(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_state, "ROOT", checkout / "code")
    assert provenance.commit() == (None, None)
    assert git_state.state()[2] == f"the commit is not recorded: the repository around it is another one, {checkout}"
