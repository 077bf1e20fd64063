"""DSD in Lightning, on real digits.

pip install '.[lightning,examples]'
python digits_lightning.py
"""

import torch
from lightning.pytorch import LightningModule, Trainer
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import dsd
from dsd.integrations.lightning import DSD

EPOCHS = 2  # of each phase


class Digits(LightningModule):
    """A small network that says how sparse it is."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10)
        )

    def training_step(self, batch: list[Tensor]) -> Tensor:
        """Return the loss."""
        pictures, labels = batch
        return cross_entropy(self.model(pictures), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=0.01)

    def on_train_epoch_end(self) -> None:
        """Print the share of zeros."""
        weights = torch.cat([p.detach().flatten() for p in self.parameters() if p.ndim > 1])
        print(f"epoch {self.current_epoch}: {float((weights == 0).float().mean()):.0%} of the weights are zero")


def main() -> None:
    """Train on three quarters of the digits and test on the rest."""
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    pictures, labels = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(y)
    batches = DataLoader(TensorDataset(pictures[:1344], labels[:1344]), batch_size=64, shuffle=True)
    steps = EPOCHS * len(batches)
    phases = dsd.Phases(sparsity=0.5, begin=steps, end=2 * steps)
    module = Digits()
    Trainer(max_epochs=3 * EPOCHS, callbacks=[DSD(phases)], accelerator="cpu", logger=False).fit(module, batches)
    with torch.no_grad():
        wrong = module.model(pictures[1344:]).argmax(1) != labels[1344:]
    print(f"wrong test answers: {float(wrong.float().mean()):.1%}")


if __name__ == "__main__":
    main()
