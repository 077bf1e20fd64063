"""DSD in Fabric, on real digits.

pip install '.[examples]' lightning
python digits_fabric.py
"""

import torch
from lightning.fabric import Fabric
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import dsd

EPOCHS = 2  # of each phase


def main() -> None:
    """Train on three quarters of the digits and test on the rest."""
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    pictures, labels = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(y)
    batches = DataLoader(TensorDataset(pictures[:1344], labels[:1344]), batch_size=64, shuffle=True)
    fabric = Fabric(accelerator="cpu")
    model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10))
    model, optimizer = fabric.setup(model, torch.optim.Adam(model.parameters(), lr=0.01))
    batches = fabric.setup_dataloaders(batches)
    steps = EPOCHS * len(batches)
    phases = dsd.Phases(sparsity=0.5, begin=steps, end=2 * steps)
    step = 0
    for epoch in range(3 * EPOCHS):
        for inputs, targets in batches:
            phases.at(step, model, optimizer)
            optimizer.zero_grad()
            fabric.backward(cross_entropy(model(inputs), targets))
            optimizer.step()
            step += 1

        weights = torch.cat([p.detach().flatten() for p in model.parameters() if p.ndim > 1])
        print(f"epoch {epoch}: {float((weights == 0).float().mean()):.0%} of the weights are zero")

    with torch.no_grad():
        wrong = model(pictures[1344:]).argmax(1) != labels[1344:]
    print(f"wrong test answers: {float(wrong.float().mean()):.1%}")


if __name__ == "__main__":
    main()
