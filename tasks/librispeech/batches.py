"""Recordings as tensors: batches of padded waveforms with their transcripts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.data.threads import read_ahead
from tasks.data.verification import threaded
from tasks.librispeech import alphabet, audio
from tasks.librispeech.sampler import Indices
from tasks.librispeech.utterances import Utterance
from tasks.task import Progress

LIMIT = 4 << 30
"""Maximum bytes of decoded sound to hold in memory: 37 hours."""

_SCALE = 1 << 15


@dataclass(frozen=True)
class Batch:
    """Utterances of a step, on the device.

    Attributes:
        waveforms: (batch, samples) float32 in [-1, 1) at 16 kHz, zero after the end of an utterance.
        samples: (batch,) int64, length of each utterance.
        targets: (sum of target_lengths,) int64, the symbols of all transcripts, concatenated.
        target_lengths: (batch,) int64.
    """

    waveforms: Tensor
    samples: Tensor
    targets: Tensor
    target_lengths: Tensor


class Waveforms:
    """Recordings at 16 kHz as int16 arrays, held in memory if they fit, otherwise decoded when needed.

    Both ways give the same samples, because resampled recordings are rounded to int16 too.

    Attributes:
        names: names of the utterances, in the order of the data set.
        lengths: (n,) int64, samples of each utterance at 16 kHz.
        in_memory: whether all recordings were decoded at the start.

    Args:
        utterances: the verified utterances of a split.
        root: the data set.
        progress: called with ("decoding recordings", done, total) if all recordings are decoded at the start.
        limit: maximum bytes of sound in memory, 2 per sample.
        workers: threads that decode; 0 means one per processor. Results do not depend on it.

    Raises:
        ValueError: there is no utterance, or a recording cannot be decoded or has changed (also when it is read later).
    """

    def __init__(
        self, utterances: Sequence[Utterance], root: Path, progress: Progress, limit: int = LIMIT, workers: int = 0
    ) -> None:
        if not utterances:
            raise ValueError(f"{root}: there are no utterances to decode")
        self.names = [utterance.name for utterance in utterances]
        self.lengths: Indices = np.array([audio.resampled_samples(u.samples, u.rate) for u in utterances], np.int64)
        self.workers = workers
        self._paths = [root / utterance.file for utterance in utterances]
        self._targets = [torch.tensor(alphabet.encode(utterance.transcript)) for utterance in utterances]
        self.in_memory = 2 * int(self.lengths.sum()) <= limit
        self._held: list[NDArray[np.int16]] | None = None
        if self.in_memory:
            report = partial(progress, "decoding recordings")
            self._held = list(threaded(self._read, range(len(utterances)), workers, report, self.path))

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> NDArray[np.int16]:
        return self._read(index) if self._held is None else self._held[index]

    def path(self, index: int) -> Path:
        """Return the file of an utterance."""
        return self._paths[index]

    def batch(self, indices: Indices, sound: Sequence[NDArray[np.int16]], device: torch.device) -> Batch:
        """Return a batch of the utterances `indices` with samples `sound`."""
        samples = torch.from_numpy(self.lengths[indices])
        padded = torch.zeros(len(indices), int(samples.max()), dtype=torch.int16, pin_memory=device.type == "cuda")
        for row, waveform in zip(padded.numpy(), sound, strict=True):
            row[: len(waveform)] = waveform
        targets = [self._targets[index] for index in indices]
        return Batch(
            padded.to(device, non_blocking=True).float().div_(_SCALE),  # int16 halves the transfer
            samples.to(device),
            torch.cat(targets).to(device),
            torch.tensor([len(target) for target in targets]).to(device),
        )

    def _read(self, index: int) -> NDArray[np.int16]:
        samples = audio.load(self._paths[index])
        if len(samples) != self.lengths[index]:
            raise ValueError(f"{self._paths[index]} has changed since it was verified: another length")
        return samples


def batches(waveforms: Waveforms, plan: Iterable[Indices], device: torch.device) -> Iterator[Batch]:
    """Yield a batch for each array of utterances in `plan`. Threads decode recordings that are not in memory, a few batches ahead.

    Raises:
        ValueError: a recording cannot be opened or decoded; the message names it.
        LoaderError: reading a recording has not ended in PATIENCE seconds; the message names it.
    """
    if waveforms.in_memory:
        for indices in plan:
            yield waveforms.batch(indices, [waveforms[index] for index in indices], device)
        return
    now, later = itertools.tee(plan)
    numbers = (indices.tolist() for indices in later)
    with closing(read_ahead(waveforms.__getitem__, numbers, waveforms.path, waveforms.workers)) as sounds:
        for indices, sound in zip(now, sounds, strict=True):
            yield waveforms.batch(indices, sound, device)
