"""DSD in Hugging Face's Trainer, on real digits.

pip install '.[transformers,examples]'
python digits_transformers.py
"""

from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import Trainer, TrainerCallback, TrainingArguments

import dsd
from dsd.integrations.transformers import DSD

EPOCHS, BATCH = 2, 64  # epochs of each phase


class Digits(nn.Module):
    """A small network."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10)
        )

    def forward(self, pictures: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the loss and the answers, as the Trainer wants them."""
        logits = self.model(pictures)
        return {"loss": cross_entropy(logits, labels), "logits": logits}


class Zeros(TrainerCallback):
    """Prints the share of zeros."""

    def on_epoch_end(self, args: Any, state: Any, control: Any, model: nn.Module, **kwargs: Any) -> None:
        """Print it."""
        weights = torch.cat([p.detach().flatten() for p in model.parameters() if p.ndim > 1])
        epoch = round(state.epoch) - 1
        print(f"epoch {epoch}: {float((weights == 0).float().mean()):.0%} of the weights are zero")


def main() -> None:
    """Train on three quarters of the digits and test on the rest."""
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    pictures, labels = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(y)
    data = [{"pictures": picture, "labels": label} for picture, label in zip(pictures, labels, strict=True)]
    steps = EPOCHS * (1344 // BATCH)
    phases = dsd.Phases(sparsity=0.5, begin=steps, end=2 * steps)
    arguments = TrainingArguments(
        "digits",
        num_train_epochs=3 * EPOCHS,
        per_device_train_batch_size=BATCH,
        learning_rate=0.01,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
    )
    trainer = Trainer(Digits(), arguments, train_dataset=data[:1344], callbacks=[DSD(phases), Zeros()])
    trainer.train()
    found = trainer.predict(data[1344:])
    print(f"wrong test answers: {(found.predictions.argmax(1) != found.label_ids).mean():.1%}")


if __name__ == "__main__":
    main()
