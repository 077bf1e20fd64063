"""The recipes of docs/frameworks.md: five lines at most, and a test of the framework runs each line unchanged."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/frameworks.md"
RECIPES = re.findall(
    r"^## (.*?)\n.*?\[test\]\((\S+)\)\)\n\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL | re.MULTILINE
)


def code(source: str) -> list[str]:
    lines = [line.split("  # ")[0].strip() for line in source.splitlines()]
    return [line for line in lines if line]


def test_there_is_a_recipe_for_each() -> None:
    assert [name for name, _, _ in RECIPES] == [
        "Lightning",
        "Hugging Face's Trainer",
        "Fabric",
        "Accelerate",
        "fastai",
        "timm",
        "Running averages (EMA, SWA)",
        "Schedule-free optimizers",
        "GradScaler",
        "Accumulated batches",
        "Saving with FSDP2",
        "Resuming with FSDP2",
    ]


@pytest.mark.parametrize(("name", "test", "recipe"), RECIPES, ids=[name for name, _, _ in RECIPES])
def test_a_recipe_is_short_and_stands_in_its_test(name: str, test: str, recipe: str) -> None:
    lines, tested = code(recipe), iter(code((PAGE.parent / test).read_text()))
    assert 2 <= len(lines) <= 5
    for line in lines:
        assert line in tested, f"{name}: {line!r} is not in {test}, or not after the lines before it"
