from __future__ import annotations

import numpy as np
import pytest

from tasks.imagenet.label_noise import mislabelled

LABELS = np.repeat(np.arange(5), 40)


def test_exactly_the_share_is_wrong_and_every_other_class_is_met() -> None:
    noisy = mislabelled(LABELS, 5, 0.2, seed=3)
    wrong = noisy != LABELS
    assert wrong.sum() == 40
    assert set(noisy) == set(range(5))
    assert set((noisy - LABELS)[wrong] % 5) == {1, 2, 3, 4}
    assert LABELS[0] == 0  # the given array is unchanged
    assert not np.array_equal(noisy, LABELS)


def test_the_seed_alone_decides_which() -> None:
    assert np.array_equal(mislabelled(LABELS, 5, 0.2, seed=3), mislabelled(LABELS, 5, 0.2, seed=3))
    assert not np.array_equal(mislabelled(LABELS, 5, 0.2, seed=3), mislabelled(LABELS, 5, 0.2, seed=4))
    assert np.array_equal(mislabelled(LABELS, 5, 0.0, seed=3), LABELS)
    assert (mislabelled(LABELS, 5, 1.0, seed=3) != LABELS).all()


def test_one_class_cannot_be_mistaken() -> None:
    with pytest.raises(ValueError, match=r"label_noise=0\.2: with 1 class no label can be wrong"):
        mislabelled(np.zeros(4, dtype=np.int64), 1, 0.2, seed=0)
