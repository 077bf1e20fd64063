"""Greedy transcripts from the log-probabilities of a network trained with CTC."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.librispeech.alphabet import BLANK, SYMBOLS

_TABLE = "".join(SYMBOLS).encode("ascii").rjust(len(SYMBOLS), b"\0").ljust(256, b"\0")  # index to character


@torch.inference_mode()
def greedy(log_probabilities: Tensor, lengths: Tensor) -> list[str]:
    """Return a transcript for each utterance: the most probable symbol of each frame, without repetitions, then without blanks.

    Words are separated by one space.

    Args:
        log_probabilities: (batch, time, 29), or other scores with the same order, on any device. Frames beyond the length of an
            utterance are ignored.
        lengths: (batch,) frames of each utterance.

    Raises:
        ValueError: the shapes do not fit.
    """
    shape = tuple(log_probabilities.shape)
    if len(shape) != 3 or shape[2] != len(SYMBOLS) or tuple(lengths.shape) != shape[:1]:
        raise ValueError(
            f"log_probabilities of shape {shape} and lengths of shape {tuple(lengths.shape)}: "
            f"expected (batch, time, {len(SYMBOLS)}) and (batch,)."
        )
    best = log_probabilities.argmax(2)
    said = best != BLANK
    said[:, 1:] &= best[:, 1:] != best[:, :-1]
    said &= torch.arange(best.shape[1], device=best.device) < lengths.to(best.device)[:, None]
    rows = (best * said).to(torch.uint8).cpu().numpy()  # the only transfer, one byte per frame
    return [" ".join(row.tobytes().translate(_TABLE, b"\0").decode("ascii").split()) for row in rows]
