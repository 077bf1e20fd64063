"""Where a record comes from: commit, versions, hardware, the command that reruns it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
from pathlib import Path

import torch

from benchmarks.record import Hardware

ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("torch", "torchvision", "torchaudio", "numpy", "pillow", "scipy", "pandas")


def commit() -> tuple[str | None, bool | None]:
    """Return the checkout's commit and whether tracked files outside results/ differ from it; None where git cannot tell."""
    head = _git("rev-parse", "HEAD")
    if head is None:
        return None, None
    changes = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results", ":!README.md")
    return head, bool(changes)


def versions() -> dict[str, str]:
    """Return the versions of Python and of every package that can change a result, with CUDA and cuDNN where present."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    if torch.cuda.is_available():
        found["cuda"] = str(torch.version.cuda)
        found["cudnn"] = str(torch.backends.cudnn.version())  # type: ignore[no-untyped-call]
    return found


def hardware(device: torch.device) -> Hardware:
    """Return what the trial runs on."""
    return Hardware(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        platform=f"{platform.system()} {platform.machine()}",
    )


def command(arguments: list[str]) -> str:
    """Return the command line as it can be typed at the root of a checkout.

    Absolute paths are cut to their last part: where a data set lies on one machine helps nobody on another.
    """
    parts = [Path(part).name if Path(part).is_absolute() else part for part in arguments]
    return shlex.join(["python", "-m", "benchmarks", *parts])


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
