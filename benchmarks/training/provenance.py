"""The provenance of a record: commit, versions, hardware."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.records.schema import Hardware
from benchmarks.rows import BFLOAT16
from benchmarks.training import git_state
from tasks import distributed

_PACKAGES = (
    *("torch", "torchvision", "torchaudio", "numpy", "pillow", "scipy", "pandas"),
    *("nltk", "jiwer", "rapidfuzz", "soundfile", "espeakng-loader"),
)


@dataclass(frozen=True)
class Provenance:
    """The code and machine of a process, read once at its start, because files may be edited during training.

    `warning` is the reason if the commit or the dirty flag is unknown, else empty.
    """

    commit: str | None
    dirty: bool | None
    versions: dict[str, str]
    hardware: Hardware
    precision: str
    warning: str = ""

    def sentence(self) -> str:
        """Return one line with everything that can change a result."""
        state = {None: "", True: " (dirty)", False: ""}[self.dirty]
        where = self.hardware.gpu or f"{self.hardware.cpu}, {self.hardware.threads} threads"
        return f"commit {(self.commit or 'unknown')[:12]}{state}, torch {self.versions.get('torch')}, {where}, {self.precision}"


def read(device: torch.device, autocast: bool = False) -> Provenance:
    """Return the provenance of this process; `autocast` is whether networks compute in bfloat16."""
    head, dirty, warning = git_state.state()
    arithmetic = BFLOAT16 if autocast else precision(device)
    return Provenance(head, dirty, versions(), hardware(device), arithmetic, warning)


def commit() -> tuple[str | None, bool | None]:
    """Return the checkout's commit and whether its code differs from it; None if unknown."""
    head, dirty, _ = git_state.state()
    return head, dirty


def precision(device: torch.device) -> str:
    """Return the training precision. By default, torch lets GPU convolutions round their inputs to TF32."""
    if device.type == "cuda" and (torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32):
        allowed = {
            "convolutions": torch.backends.cudnn.allow_tf32,
            "matrix products": torch.backends.cuda.matmul.allow_tf32,
        }
        return f"float32 (TF32 in {' and '.join(name for name, found in allowed.items() if found)})"
    return "float32"


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
    """Return the hardware of this process."""
    return Hardware(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        platform=f"{platform.system()} {platform.machine()}",
        processes=distributed.world_size(),
    )


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
