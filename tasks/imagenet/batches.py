"""Batches of pictures. The batch of a step depends neither on the first step nor on the number of workers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from tasks import distributed
from tasks.data.images import decode
from tasks.data.loading import loaded
from tasks.data.threads import processors
from tasks.data.verification import threaded
from tasks.imagenet import device_views
from tasks.imagenet.dataset import Folder, Split
from tasks.imagenet.settings import Augmentation
from tasks.imagenet.transforms import Colour, augment, central_view, choose, draws, finish
from tasks.task import Progress

Batch = tuple[Tensor, Tensor]
"""x: (B, 3, side, side) float32, normalised, channels last; y: (B,) int64 class numbers. Both on the device."""

_SAMPLED_HEADERS = 512
_CROPPING = ("cuda",)  # types of devices that crop pictures themselves; on a CPU, Pillow is faster
_DEVICE_PART = 0.25  # maximum share of a device's memory for pictures


class Pictures:
    """The pictures of a split as (height, width, 3) uint8 RGB arrays, held in memory if they fit.

    Attributes:
        names: relative file names, in the data set's order.
        labels: (n,) int64 class numbers.
        in_memory: whether all pictures were decoded at the start; otherwise each is decoded when it is read.

    Args:
        folder: result of `scan`.
        split: "train" or "val".
        cache: whether to hold pictures in memory. None means yes if the estimated size, for all processes of the run on this
            machine, is at most `memory_part` of its memory.
        memory_part: a share of the memory of the machine or container.
        workers: threads that decode at the start; 0 means one per processor.
        progress: called with ("decoding SPLIT", done, total) as pictures are decoded at the start.

    Raises:
        ValueError: there is no picture, or a picture cannot be decoded (also from `read`).
    """

    def __init__(
        self,
        folder: Folder,
        split: Split,
        cache: bool | None = None,
        memory_part: float = 0.25,
        workers: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self.root = folder.root
        self.names = folder.names(split)
        self.labels = folder.labels(split)
        if not self.names:
            raise ValueError(f"{folder.root}: there are no pictures in {split}/")
        if cache is None:
            needed = distributed.local_world_size() * estimated_bytes(self.root, self.names)
            cache = needed <= memory_part * memory_bytes()
        self.in_memory = cache
        self._on_device: dict[torch.device, Tensor | None] = {}
        self._held: list[NDArray[np.uint8]] | None = None
        if cache:
            report = progress and partial(progress, f"decoding {split}")
            self._held = list(threaded(self.read, range(len(self.names)), workers, report, self._path))

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int, quick: bool = False) -> NDArray[np.uint8]:
        """Return a picture; decode it by `tasks.data.images.decode(quick=...)` if it is not in memory."""
        return decode(self._path(index), quick) if self._held is None else self._held[index]

    def _path(self, index: int) -> Path:
        return self.root / self.names[index]

    def __getstate__(self) -> dict[str, Any]:
        # Workers read files: sending them all pictures would cost more than it saves.
        return {**self.__dict__, "_held": None, "_on_device": {}}

    def on_device(self, device: torch.device) -> Tensor | None:
        """Return all pictures, (n, side, side, 3) uint8, on a device that crops them itself.

        Return None if the device does not crop pictures, or if they are not in memory, not square or of different sizes. Also
        return None if they need more than a quarter of the device's memory.
        """
        if device.type not in _CROPPING or self._held is None:
            return None
        if device not in self._on_device:
            shapes = {picture.shape for picture in self._held}
            equal = len(shapes) == 1 and all(height == width for height, width, _ in shapes)
            fits = sum(picture.nbytes for picture in self._held) <= _DEVICE_PART * _device_bytes(device)
            self._on_device[device] = _moved(torch.from_numpy(np.stack(self._held)), device) if equal and fits else None
        return self._on_device[device]

    def relabelled(self, labels: NDArray[np.int64]) -> Pictures:
        """Return the same pictures, sharing memory, with other labels (n,)."""
        other = copy(self)
        other.labels, other._held, other._on_device = labels, self._held, self._on_device  # `copy` drops both
        return other


def _device_bytes(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).total_memory) if device.type == "cuda" else memory_bytes()


def estimated_bytes(root: Path, names: Sequence[str]) -> float:
    """Return the estimated size of all decoded pictures in bytes, from the headers of about 512 evenly spaced ones."""
    sampled = names[:: max(1, len(names) // _SAMPLED_HEADERS)]
    total = 0
    for name in sampled:
        try:
            with Image.open(root / name) as picture:
                total += 3 * picture.width * picture.height
        except OSError as error:
            raise ValueError(f"{root / name} is not a readable image ({error})") from error
    return total / len(sampled) * len(names)


def memory_bytes() -> int:
    """Return the memory of this machine in bytes, or the limit of the container if it is lower."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else "max"
    return min(total, int(text)) if text.isdigit() else total


@lru_cache(maxsize=4)
def order(seed: int, epoch: int, n: int) -> NDArray[np.int64]:
    """Return the order of the samples in an epoch, a permutation (n,) that depends only on the arguments."""
    permutation = np.argsort(draws(n, "order", seed, epoch), kind="stable").astype(np.int64)
    permutation.setflags(write=False)  # all callers share it
    return permutation


def steps_per_epoch(n: int, batch_size: int) -> int:
    """Return the number of full batches in `n` samples.

    Raises:
        ValueError: there is no full batch.
    """
    if n < batch_size:
        raise ValueError(f"batch_size={batch_size} is more than the {n} training pictures there are")
    return n // batch_size


def batch_indices(seed: int, step: int, n: int, batch_size: int) -> tuple[int, NDArray[np.int64]]:
    """Return the epoch of a step and the sample indices (batch_size,) of its batch."""
    epoch, position = divmod(step, steps_per_epoch(n, batch_size))
    return epoch, order(seed, epoch, n)[position * batch_size : (position + 1) * batch_size]


def batch_ids(pictures: Pictures, seed: int, batch_size: int, step: int) -> list[str]:
    """Return the file names, relative to the data set, of the pictures in the training batch of `step`."""
    _, indices = batch_indices(seed, step, len(pictures), batch_size)
    return [pictures.names[index] for index in indices]


def train_batches(
    pictures: Pictures,
    settings: Augmentation,
    seed: int,
    batch_size: int,
    first_step: int,
    last_step: int,
    workers: int | None,
    device: torch.device,
) -> Iterator[Batch]:
    """Yield this process's part of the batches of steps [first_step, last_step), augmented.

    Every epoch drops its last, incomplete batch.

    Args:
        pictures: the training split.
        settings: kinds and ranges of crops and colour changes.
        seed: seed of the trial; determines order, crops and colours.
        batch_size: pictures in a batch.
        first_step: the first step, counted from the start of training.
        last_step: the step before which to stop.
        workers: processes that prepare batches; 0 means this process. None means 0 for pictures held in memory. Otherwise it means
            one per processor, divided among the processes of the run on this machine, and at most 16. Batches do not depend on it.
        device: the device of the batches.

    Raises:
        ValueError: there are fewer pictures than `batch_size`, or a picture cannot be decoded.
        OSError: a picture cannot be opened.
        LoaderError: see `tasks.data.loading.loaded`.
    """
    plan = _plan(seed, len(pictures), batch_size, range(first_step, last_step))
    if pictures.in_memory and not workers:
        made = _held_batches(pictures, settings, seed, plan, device)
    else:
        made = _loader(_Training(pictures, settings, seed), plan, workers, device)
    for views, colour, labels in made:
        moved = Colour(*(_moved(part, device) for part in colour))
        yield finish(_moved(views, device), moved, settings), _moved(labels, device)


def _held_batches(
    pictures: Pictures, settings: Augmentation, seed: int, plan: Iterable[list[_Key]], device: torch.device
) -> Iterator[tuple[Tensor, Colour, Tensor]]:
    """Yield views, (B, 3, side, side) uint8, colours and labels of pictures in memory. A GPU that holds them makes equal views."""
    held = pictures.on_device(device) if settings.resize == "pillow" else None
    for keys in plan:
        indices = [index for _, index in keys]
        if held is None:
            cropped, colour = augment([pictures.read(index) for index in indices], settings, seed, keys)
            views = torch.from_numpy(cropped).permute(0, 3, 1, 2)
        else:
            height, width = held.shape[1:3]
            boxes, flips, colour = choose([(width, height)] * len(keys), settings, seed, keys)
            taps = device_views.most_taps(int((boxes[:, 2:] - boxes[:, :2]).max()), settings.crop)
            where, flipped = _moved(torch.from_numpy(boxes), device), _moved(torch.from_numpy(flips), device)
            chosen = held[_moved(torch.tensor(indices), device)]
            views = device_views.views(chosen, where, flipped, settings.crop, taps)
        yield views, colour, torch.from_numpy(pictures.labels[indices])


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on the device. A copy from pinned memory does not wait for earlier steps on the device."""
    if device.type == "cuda" and tensor.device.type == "cpu" and not tensor.is_pinned():
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def scoring_batches(
    pictures: Pictures,
    settings: Augmentation,
    batch_size: int,
    workers: int | None,
    device: torch.device,
    which: Iterable[int],
) -> Iterator[Batch]:
    """Yield this process's part of the batches of test views of the pictures with the indices `which`, in order.

    The last batch may be smaller. `workers` and errors are those of `train_batches`.
    """
    keys = [(0, index) for index in which]
    plan = distributed.shard([keys[start : start + batch_size] for start in range(0, len(keys), batch_size)])
    held = pictures.on_device(device)
    if held is None or held.shape[1:3] != (settings.test_resize, settings.test_resize):
        for views, _, labels in _loader(_Testing(pictures, settings), plan, workers, device):
            yield finish(_moved(views, device), None, settings), _moved(labels, device)
        return
    middle = slice(edge := (settings.test_resize - settings.test_crop) // 2, edge + settings.test_crop)
    for batch in plan:
        indices = [index for _, index in batch]
        views = held[_moved(torch.tensor(indices), device)][:, middle, middle].permute(0, 3, 1, 2)
        yield finish(views, None, settings), _moved(torch.from_numpy(pictures.labels[indices]), device)


_Key = tuple[int, int]
"""(epoch, sample index)."""
_Sample = tuple[NDArray[np.uint8], Colour | None, int]


class _Training(Dataset[_Sample]):
    def __init__(self, pictures: Pictures, settings: Augmentation, seed: int) -> None:
        self.pictures, self.settings, self.seed = pictures, settings, seed

    def __getitem__(self, key: _Key) -> _Sample:
        epoch, index = key
        picture = self.pictures.read(index, quick=self.settings.resize == "torch")
        views, colour = augment([picture], self.settings, self.seed, [(epoch, index)])
        return views[0], colour, int(self.pictures.labels[index])


class _Testing(Dataset[_Sample]):
    def __init__(self, pictures: Pictures, settings: Augmentation) -> None:
        self.pictures, self.settings = pictures, settings

    def __getitem__(self, key: _Key) -> _Sample:
        return central_view(self.pictures.read(key[1]), self.settings), None, int(self.pictures.labels[key[1]])


def _plan(seed: int, n: int, batch_size: int, steps: Iterable[int]) -> Iterator[list[_Key]]:
    """Yield the keys of this process for each batch."""
    for step in steps:
        epoch, indices = batch_indices(seed, step, n, batch_size)
        yield [(epoch, int(index)) for index in distributed.shard(indices)]


def _collate(samples: list[_Sample]) -> tuple[Tensor, Colour | None, Tensor]:
    """Join samples into (B, 3, side, side) uint8, channels last in memory, with their colours and labels."""
    views = torch.from_numpy(np.stack([view for view, _, _ in samples])).permute(0, 3, 1, 2)
    colours = [colour for _, colour, _ in samples if colour is not None]
    colour = Colour(*(torch.cat(parts) for parts in zip(*colours, strict=True))) if colours else None
    return views, colour, torch.tensor([label for _, _, label in samples])


def _loader(dataset: Any, plan: Any, workers: int | None, device: torch.device) -> Iterator[Any]:
    if workers is None:
        held = dataset.pictures.in_memory
        workers = 0 if held else max(1, min(16, processors() // distributed.local_world_size()))
    return loaded(dataset, plan, _collate, workers, pin_memory=device.type == "cuda")
