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
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

GET_BATCH: Any = _MultiProcessingDataLoaderIter._try_get_data
"""Its default is the seconds after which torch's DataLoader looks whether its workers are alive: five."""
OFTEN = (0.2,)
"""The default for tests, which need not wait that long."""


def join(samples: list[Any]) -> Any:
    """Stack samples into one tensor."""
    return torch.stack(samples)


class Broken(Dataset[Tensor]):
    """Returns (1024,) float32 for a key. At the key `at`, it first calls its method with the name `how`."""

    def __init__(self, how: str, at: int, path: Path = Path()) -> None:
        self.how, self.at, self.path = how, at, path

    def __getitem__(self, key: int) -> Tensor:
        if key == self.at:
            getattr(self, self.how)()
        return torch.full((1024,), float(key))

    def nothing(self) -> None:
        """Do nothing."""

    def killed(self) -> None:
        """Kill this process, as the kernel does when memory runs out."""
        os.kill(os.getpid(), signal.SIGKILL)

    def no_shared_memory(self) -> None:
        """Send this process SIGBUS, which it gets when it writes to shared memory and /dev/shm is full."""
        os.kill(os.getpid(), signal.SIGBUS)

    def no_space(self) -> None:
        """Limit the size of files to 16 bytes, so that shared memory cannot hold a batch."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))

    def no_descriptors(self) -> None:
        """Leave no free file descriptor for sending the batch."""
        limit = os.dup(0)  # the lowest free descriptor
        os.close(limit)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    def no_memory(self) -> None:
        """Raise MemoryError."""
        raise MemoryError

    def bug(self) -> None:
        """Raise an unexpected error with a message of two lines."""
        raise KeyError("first line\nsecond line")

    def vanished(self) -> None:
        """Read a file that does not exist."""
        (self.path / "gone.jpg").read_bytes()

    def damaged(self) -> None:
        """Read a file that is not a picture."""
        from tasks.data.images import decode

        decode(self.path / "damaged.jpg")

    def stuck(self) -> None:
        """Read a pipe that nobody writes to."""
        (self.path / "pipe").read_bytes()

    def stopped(self) -> None:
        """Stop this process, as a debugger does."""
        os.kill(os.getpid(), signal.SIGSTOP)

    def slow(self) -> None:
        """Wait for three seconds."""
        time.sleep(3)
