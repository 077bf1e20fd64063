"""One step of timm's training benchmark (`benchmark.py --bench train --amp --amp-dtype bfloat16 --channels-last`)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
import torchvision
from torch import nn


@contextlib.contextmanager
def fastest_kernels() -> Iterator[None]:
    """Context in which cuDNN times its kernels and uses the fastest, as in timm's benchmark."""
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def network(name: str) -> tuple[nn.Module, str]:
    """Return a network of 1,000 classes and the package that provides it: timm, or torchvision if timm is absent."""
    with contextlib.suppress(ImportError):
        import timm

        return timm.create_model(name, num_classes=1000), "timm"
    return getattr(torchvision.models, name)(num_classes=1000), "torchvision"


def trainer(model: nn.Module, device: torch.device, batch_size: int, side: int) -> Callable[[], None]:
    """Return a function that takes one step on random pictures: forward, loss, backward, timm's SGD, synchronise."""
    model = model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    x = torch.randn(batch_size, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
    loss = nn.CrossEntropyLoss().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, nesterov=True)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16):
            output = model(x)
            target = torch.empty(batch_size, device=device, dtype=torch.long).random_(1000)
            value = loss(output, target)
        value.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step
