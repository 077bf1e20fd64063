"""Data sets that break the process that reads them, for `tasks.data.loading.loaded`."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset


def join(samples: list[Any]) -> Any:
    """Join samples as tensors are joined."""
    return torch.stack(samples)


class Broken(Dataset[Tensor]):
    """Gives (1024,) float32 for a key; at the key `at` the process does what `how` says first."""

    def __init__(self, how: str, at: int, path: Path = Path()) -> None:
        self.how, self.at, self.path = how, at, path

    def __getitem__(self, key: int) -> Tensor:
        if key == self.at:
            getattr(self, self.how)()
        return torch.full((1024,), float(key))

    def nothing(self) -> None:
        """Break nothing."""

    def killed(self) -> None:
        """Be killed, as the kernel does where memory runs out."""
        os.kill(os.getpid(), signal.SIGKILL)

    def no_shared_memory(self) -> None:
        """Touch shared memory that a full /dev/shm does not have."""
        os.kill(os.getpid(), signal.SIGBUS)

    def no_space(self) -> None:
        """Have no room for a file in shared memory."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))

    def no_descriptors(self) -> None:
        """Have no file descriptor left for what is handed over."""
        limit = os.dup(0)  # the lowest that is free
        os.close(limit)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    def no_memory(self) -> None:
        """Have no memory left."""
        raise MemoryError

    def bug(self) -> None:
        """Raise what nobody thought of."""
        raise KeyError("first line\nsecond line")

    def vanished(self) -> None:
        """Read a file that is gone."""
        (self.path / "gone.jpg").read_bytes()

    def damaged(self) -> None:
        """Read a file that is no picture."""
        from tasks.data.images import decode

        decode(self.path / "damaged.jpg")

    def stuck(self) -> None:
        """Wait for a file that never comes."""
        (self.path / "pipe").read_bytes()

    def stopped(self) -> None:
        """Be stopped, as by a debugger."""
        os.kill(os.getpid(), signal.SIGSTOP)

    def slow(self) -> None:
        """Take a while."""
        time.sleep(3)
