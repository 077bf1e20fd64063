"""DSD in a loop with a schedule-free optimizer, on real digits.

pip install '.[examples]' schedulefree
python digits_schedulefree.py
"""

import torch
from schedulefree import AdamWScheduleFree
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
    model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10))
    optimizer = AdamWScheduleFree(model.parameters(), lr=0.01)
    steps = EPOCHS * len(batches)
    phases = dsd.Phases(sparsity=0.5, begin=steps, end=2 * steps)
    step = 0
    for epoch in range(3 * EPOCHS):
        for inputs, targets in batches:
            phases.at(step, model, optimizer)
            optimizer.train()
            optimizer.zero_grad()
            cross_entropy(model(inputs), targets).backward()
            optimizer.step()
            step += 1
        optimizer.eval()  # what is evaluated is sparse too
        weights = torch.cat([p.detach().flatten() for p in model.parameters() if p.ndim > 1])
        print(f"epoch {epoch}: {float((weights == 0).float().mean()):.0%} of the weights are zero")

    with torch.no_grad():
        wrong = model(pictures[1344:]).argmax(1) != labels[1344:]
    print(f"wrong test answers: {float(wrong.float().mean()):.1%}")


if __name__ == "__main__":
    main()
