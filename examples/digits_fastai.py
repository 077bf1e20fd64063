"""DSD in fastai, on real digits.

pip install '.[examples]' fastai
python digits_fastai.py
"""

from functools import partial

import torch
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import dsd

EPOCHS = 2  # of each phase


class DSD(Callback):
    """Sparse phases by the number of steps, and the share of zeros after every epoch."""

    def __init__(self, phases: dsd.Phases) -> None:
        self.phases = phases

    def before_batch(self) -> None:
        """Enter, hold or leave."""
        if self.training:
            self.phases.at(self.train_iter, self.model, self.opt)

    def after_train(self) -> None:
        """Print the share of zeros."""
        weights = torch.cat([p.detach().flatten() for p in self.model.parameters() if p.ndim > 1])
        print(f"epoch {self.epoch}: {float((weights == 0).float().mean()):.0%} of the weights are zero")


def main() -> None:
    """Train on three quarters of the digits and test on the rest."""
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    pictures, labels = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(y)
    batches = DataLoader(TensorDataset(pictures[:1344], labels[:1344]), batch_size=64, shuffle=True)
    test = DataLoader(TensorDataset(pictures[1344:], labels[1344:]), batch_size=64)
    steps = EPOCHS * len(batches)
    phases = dsd.Phases(sparsity=0.5, begin=steps, end=2 * steps)
    model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10))
    optimizer = partial(OptimWrapper, opt=torch.optim.Adam)
    learn = Learner(
        DataLoaders(batches, test), model, nn.CrossEntropyLoss(), opt_func=optimizer, lr=0.01, cbs=DSD(phases)
    )
    with learn.no_logging():
        learn.fit(3 * EPOCHS)
    with torch.no_grad():
        wrong = model(pictures[1344:]).argmax(1) != labels[1344:]
    print(f"wrong test answers: {float(wrong.float().mean()):.1%}")


if __name__ == "__main__":
    main()
