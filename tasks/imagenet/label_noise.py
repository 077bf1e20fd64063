"""Label noise: wrong labels show whether a method overfits to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tasks.imagenet.transforms import draws


def mislabelled(labels: NDArray[np.int64], classes: int, share: float, seed: int) -> NDArray[np.int64]:
    """Return `labels` (n,) with round(share * n) of them replaced by a wrong class. The result depends on `seed` only.

    Raises:
        ValueError: there is only one class, so no label can be wrong.
    """
    if classes < 2:
        raise ValueError(f"label_noise={share}: with {classes} class no label can be wrong")
    count = round(share * len(labels))
    chosen = np.argsort(draws(len(labels), "mislabelled", seed), kind="stable")[:count]
    shift = 1 + (draws(count, "wrong class", seed) % np.uint64(classes - 1)).astype(np.int64)
    noisy = labels.copy()
    noisy[chosen] = (labels[chosen] + shift) % classes
    return noisy
