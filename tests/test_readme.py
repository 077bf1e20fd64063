from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_three_lines_work_as_printed() -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    torch.manual_seed(0)
    namespace: dict[str, object] = {}
    exec(snippet, namespace)  # noqa: S102 - the README's own code
    model, masks = namespace["model"], namespace["masks"]
    assert isinstance(model, torch.nn.Module)
    assert isinstance(masks, Mapping)
    pruned = {name: int((~mask).sum()) for name, mask in masks.items()}
    assert pruned == {"0.weight": round(0.3 * 20 * 64), "2.weight": round(0.3 * 64)}
    weights = dict(model.named_parameters())
    # In D2 the pruned weights train again, starting from zero: they are smaller than the survivors.
    revived = weights["0.weight"].detach()[~masks["0.weight"]].abs()
    assert (revived > 0).float().mean() > 0.9
    assert revived.mean() < weights["0.weight"].detach()[masks["0.weight"]].abs().mean()


def test_every_command_in_the_readme_names_something_that_exists() -> None:
    from benchmarks.rows import ROWS

    assert "pip install nox && nox -s imagenet_resnet18" in README
    assert "pip install nox && nox -s tests" in README
    for name in re.findall(r"nox -s (\w+)", README):
        assert name in ROWS or re.search(rf"^def {name}\(", (ROOT / "noxfile.py").read_text(), re.MULTILINE), name
    for row in ROWS:
        assert f"`{row}`" in README


def test_every_promise_names_the_tests_that_hold_it() -> None:
    promised: dict[int, set[str]] = {}
    for number, line in re.findall(r"^\| (\d+) \| (\*\*.*)$", README, re.MULTILINE):
        promised[int(number)] = set(re.findall(r"`(tests/\S+\.py)`", line))
    held: dict[int, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.promise":
                held.setdefault(ast.literal_eval(node.args[0]), set()).add(path.relative_to(ROOT).as_posix())
    assert list(promised) == list(range(1, 11))
    assert promised == held


def test_links_in_the_documents_lead_somewhere() -> None:
    for document in (
        "README.md",
        "CONTRIBUTING.md",
        "benchmarks/README.md",
        "results/README.md",
        "dsd/README.md",
        "docs/frameworks.md",
        "tasks/imagenet/README.md",
        "tasks/flickr8k/README.md",
        "tasks/librispeech/README.md",
    ):
        path = ROOT / document
        for target, trials in re.findall(r"\]\(([^)#]+)(?:#(t\d+))?\)", path.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (path.parent / target).exists(), f"{document} links to {target}"
                place = f'<a id="{trials}"></a>'
                assert not trials or place in (path.parent / target).read_text(encoding="utf-8"), f"{document}: {place}"


def test_the_version_stands_in_one_place_and_is_cited() -> None:
    import dsd

    assert f"\nversion: {dsd.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
