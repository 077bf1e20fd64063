"""The resumable loop of dsd/README.md: stopped between two checkpoints inside S, it resumes bit for bit."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim

README = (Path(__file__).parents[2] / "dsd/README.md").read_text(encoding="utf-8")
(LOOP,) = re.findall(r"^## In a training loop that resumes\n\n```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SHORT = LOOP.replace("_000", "0")
"""The loop with every number divided by 100: S from step 100 to 150, a checkpoint every 10 steps."""
STOPPED, STEPS = 125, 160


def run(file: Path, copied: Path) -> dict[str, Any]:
    """Run the loop and return its variables. At step `STOPPED` its checkpoint is copied, as a killed run would leave it."""
    torch.manual_seed(0)
    model = nn.Linear(6, 4)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    data = torch.randn(97, 6)

    def batches_from(start: int) -> Iterator[Tensor]:
        for step in range(start, STEPS):
            if step == STOPPED and file != copied:
                shutil.copy(file, copied)
            yield data[step % len(data)]

    def train_step(batch: Tensor) -> None:
        optimizer.zero_grad()
        (model(batch) - 1).square().mean().backward()
        optimizer.step()

    variables = {"model": model, "optimizer": optimizer, "batches_from": batches_from, "train_step": train_step}
    variables |= {"torch": torch, "file": file}
    exec(f"import dsd\n{SHORT}", variables)  # noqa: S102 - the README's own code
    return variables


def test_the_loop_of_the_readme_resumes_inside_the_sparse_phase(tmp_path: Path) -> None:
    stopped = tmp_path / "stopped.pt"
    whole = run(tmp_path / "whole.pt", stopped)
    state = torch.load(stopped)
    assert (state["step"], list(state["phases"]["masks"])) == (120, ["weight"])
    resumed = run(stopped, stopped)
    assert resumed["start"] == 120
    for part in ("model", "optimizer"):
        one, other = (of[part].state_dict() for of in (whole, resumed))
        one, other = (of if part == "model" else of["state"][0] for of in (one, other))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert (whole["start"], resumed["step"]) == (0, STEPS - 1)
    assert resumed["phases"].masks is None
