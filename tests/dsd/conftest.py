"""What every test of the method shares: one thread, one seed, small models."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

Step = Callable[[nn.Module, torch.optim.Optimizer, int], None]


@pytest.fixture(autouse=True)
def _one_thread_one_seed() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def model() -> nn.Module:
    """5,112 prunable weights in two convolutions and a linear layer, all with biases; one batch norm."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(128, 34),
    )


@pytest.fixture
def batch() -> Callable[[int], Tensor]:
    """Batch number `i` for `model`: (4, 3, 8, 8), the same each time it is asked for."""
    return lambda i: torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(i))


@pytest.fixture
def step(batch: Callable[[int], Tensor]) -> Step:
    """Train on one batch."""

    def train(model: nn.Module, optimizer: torch.optim.Optimizer, i: int) -> None:
        optimizer.zero_grad()
        dtype = next(model.parameters()).dtype
        (model(batch(i).to(dtype)) - 1).square().mean().backward()
        optimizer.step()

    return train


@pytest.fixture
def positive_zero() -> Callable[[Tensor], bool]:
    """Whether every entry is +0.0, bit for bit."""
    return lambda values: bool((values == 0).all()) and not bool(values.signbit().any())
