"""The captioning task (see `tasks.task`)."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks import distributed
from tasks.data import cache
from tasks.data.verification import require
from tasks.flickr8k import bleu, dataset, decode, features, synthetic, vocabulary
from tasks.flickr8k.backbone import default_weights, require_known
from tasks.flickr8k.batches import Batch, Captions
from tasks.flickr8k.dataset import Picture
from tasks.flickr8k.features import Extractor
from tasks.flickr8k.layouts import feature_matrix
from tasks.flickr8k.models import NeuralTalk
from tasks.flickr8k.recipes import BLEU4, Captioning, Network
from tasks.flickr8k.vocabulary import Vocabulary
from tasks.pretrained import read as read_weights
from tasks.random_streams import derive
from tasks.recipe import Recipe
from tasks.task import DataReport, Evaluation, Progress, Shown

_VALIDATION_BATCH = 500
_DECODED_AT_ONCE = 250
_LEAST_DEVIATION = 1e-3  # minimum standard deviation, so that a constant feature becomes 0


@dataclass(frozen=True)
class Source:
    """Captions, vocabulary and features by split ("train", "val", "test"), and the report."""

    report: DataReport
    vocabulary: Vocabulary
    pictures: dict[str, tuple[Picture, ...]]
    features: dict[str, Tensor]


embedded = synthetic.ensure


def verify(recipe: Recipe, data: Path, subset: float, progress: Progress) -> DataReport:
    """Return a report on the data set. It lists errors in pictures and captions instead of raising them.

    Every recipe uses the whole set.

    Raises:
        ValueError: `data` is not such a data set, or its JSON or quarantine.txt cannot be read.
    """
    del recipe
    return dataset.verify(dataset.scan(data, subset), progress)


def open_data(
    recipe: Recipe,
    data: Path,
    subset: float,
    progress: Progress,
    train: bool = True,
    device: torch.device | None = None,
    network: str | None = None,
    weights: str | None = None,
) -> Source:
    """Verify the data set, build its vocabulary, and extract features or read them from the cache.

    `train` has no effect: scoring also needs the vocabulary of the training captions and the features of the training pictures.
    `network` replaces the recipe's frozen network. `weights` are the weights of the network, a file or a torchvision name. The
    network runs on `device`.

    Raises:
        ValueError: the data or the weights cannot be used; the message names the files.
    """
    settings = recipe.data
    assert isinstance(settings, Captioning)
    found = dataset.scan(data, subset)
    extractor = _extractor(settings, network, weights, found.features, device or torch.device("cpu"))
    report = distributed.on_rank_zero(lambda: dataset.verify(found, progress))
    require(report)
    words = vocabulary.build((c for picture in found.train for c in picture.captions), settings.minimum_count)
    pictures = {"train": found.train, "val": found.val, "test": found.test}
    every = [picture for split in pictures.values() for picture in split]
    if extractor is None:
        assert found.features is not None
        vectors = feature_matrix.load(found.features, {picture.name: _column(picture) for picture in every})
        digest = cache.sha256(found.features)
        by, description = digest, f"{found.features.name} ({vectors.shape[1]} features, SHA-256 {digest[:12]})"
    else:
        names = [picture.name for picture in every]
        extract = partial(features.extract, extractor, found.folder, names, report.fingerprint, progress)
        vectors = distributed.rank_zero_first(extract)
        by, description = extractor.fingerprint(), extractor.describe()
    report = dataclasses.replace(
        report,
        fingerprint=hashlib.sha256(f"{report.fingerprint} {by}".encode()).hexdigest()[:16],
        counts=report.counts | {"words": len(words.words)},
        features=f"{description}; files {report.fingerprint}",
    )
    if settings.standardise:
        mine = vectors[: len(found.train)]
        vectors = (vectors - mine.mean(0)) / mine.std(0).clamp_min(_LEAST_DEVIATION)
    parts = torch.split(vectors, [len(split) for split in pictures.values()])
    return Source(report, words, pictures, dict(zip(pictures, parts, strict=True)))


def _extractor(
    settings: Captioning, named: str | None, weights: str | None, given: Path | None, device: torch.device
) -> Extractor | None:
    """Return the extractor of features, or None if Karpathy's matrix `given` holds them and no other network is requested.

    Raises:
        ValueError: there is no such network, or its weights are not given.
    """
    network = named or settings.network
    if given and network == "vgg16" and weights is None:
        return None
    if network != "pixels":
        require_known(network)
    source = weights or (settings.weights if network == settings.network else "")
    if network != "pixels" and not source:
        raise ValueError(
            f"{network} needs weights: pass --weights FILE (a .safetensors file or a saved state_dict) or the torchvision name "
            f"{default_weights(network)}; --network "
            + (f"vgg16 would use {given.name}, which is there" if given else "NAME takes another network")
        )
    read = read_weights(source) if source else None
    return Extractor(network, read, settings.resize, settings.crop, device)


def _column(picture: Picture) -> int:
    assert picture.column is not None, "the JSON beside a feature matrix numbers its columns"
    return picture.column


class FlickrTask:
    """Captioning by NeuralTalk. The metric is corpus BLEU-4 in percent, without brevity penalty.

    Raises:
        ValueError: there are fewer training captions than a batch.
    """

    metric = BLEU4

    def __init__(self, recipe: Recipe, source: Source, seed: int, device: torch.device, workers: int | None) -> None:
        del workers  # all data is in memory
        assert isinstance(recipe.model, Network)
        assert isinstance(recipe.data, Captioning)
        self.recipe, self.report = recipe, source.report
        self._network, self._settings = recipe.model, recipe.data
        self._source, self._seed, self._device = source, seed, device
        self._captions = {
            split: Captions(pictures, source.features[split], source.vocabulary, device)
            for split, pictures in source.pictures.items()
            if split != "test"
        }
        self._test = source.features["test"].to(device)
        self._references = [[list(caption) for caption in picture.captions] for picture in source.pictures["test"]]
        if len(self._captions["train"]) < recipe.batch_size:
            raise ValueError(
                f"{len(self._captions['train'])} training captions are fewer than one batch of {recipe.batch_size}"
            )

    def model(self) -> NeuralTalk:
        """Return a freshly initialised captioner on the device."""
        log_frequencies = self._source.vocabulary.log_frequencies()
        model = NeuralTalk(self._network, self._test.shape[1], log_frequencies, derive(self._seed, "weights"))
        return model.to(self._device)

    def steps_per_epoch(self) -> int:
        """Return the number of training captions divided by the batch size, rounded down."""
        return len(self._captions["train"]) // self.recipe.batch_size

    def batches(self, first_step: int, last_step: int) -> Iterator[Batch]:
        """Yield this process's part of the batches of steps [first_step, last_step)."""
        train = self._captions["train"]
        for step in range(first_step, last_step):
            yield train.batch(distributed.shard(train.draw(derive(self._seed, "data"), step, self.recipe.batch_size)))

    def batch_ids(self, step: int) -> list[str]:
        """Return the captions in the batch of `step`, as PICTURE#NUMBER."""
        train = self._captions["train"]
        return [train.names[i] for i in train.draw(derive(self._seed, "data"), step, self.recipe.batch_size)]

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Shown]]:
        """Return the negative log-likelihood per caption in nats, and the perplexity per word."""
        logits = model(batch.features, batch.words, batch.sizes)
        total = functional.cross_entropy(logits, batch.targets, reduction="sum")
        words = len(batch.targets)
        perplexity = Shown(total.detach(), lambda nats: math.exp(min(nats / words, 50)))
        return total / len(batch.features), {"perplexity": perplexity}

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, thorough: bool) -> Evaluation:
        """Caption every test picture once and score the captions. `thorough` decodes with the second beam width too.

        Metrics: `bleu1` to `bleu4` without brevity penalty and `bleu1_standard` to `bleu4_standard` with it, in percent;
        `brevity_penalty`; `caption_words`, the mean length; `val_perplexity` per word of the validation captions, including end
        tokens. With `thorough` also `beamW_bleu1` and so on for the second beam width W.
        """
        assert isinstance(model, NeuralTalk)
        model.eval()
        perplexity = self._perplexity(model, "val")
        hypotheses = self._decode(model, self._settings.beam, self._test)
        found = bleu.score(self._references, hypotheses)
        metrics = self._scores(found, len(self._references)) | {"val_perplexity": perplexity}
        if thorough:
            width = self._settings.beside
            wider = bleu.score(self._references, self._decode(model, width, self._test))
            beside = self._scores(wider, len(self._references))
            metrics |= {f"beam{width}_{name}": value for name, value in beside.items()}
        return Evaluation(metrics, found.counts, self._samples(hypotheses))

    def _scores(self, found: bleu.Bleu, captions: int) -> dict[str, float]:
        return {
            **{f"bleu{n}": value for n, value in enumerate(found.neuraltalk, 1)},
            **{f"bleu{n}_standard": value for n, value in enumerate(found.standard, 1)},
            "brevity_penalty": found.brevity_penalty,
            "caption_words": found.hypothesis_length / captions,
        }

    @torch.inference_mode()
    def evaluate_training(self, model: nn.Module) -> dict[str, float]:
        """Caption evenly spaced training pictures, at most as many as test pictures, and score the captions.

        Metrics: those of `evaluate` except `val_perplexity`, and `perplexity` per word of all training captions.
        """
        assert isinstance(model, NeuralTalk)
        model.eval()
        pictures = self._source.pictures["train"]
        which = range(0, len(pictures), math.ceil(len(pictures) / len(self._references)))
        vectors = self._source.features["train"][which.start : which.stop : which.step].to(self._device)
        references = [[list(caption) for caption in pictures[index].captions] for index in which]
        found = bleu.score(references, self._decode(model, self._settings.beam, vectors))
        return self._scores(found, len(references)) | {"perplexity": self._perplexity(model, "train")}

    def _perplexity(self, model: NeuralTalk, split: str) -> float:
        captions = self._captions[split]
        mine = []
        for start in distributed.shard(range(0, len(captions), _VALIDATION_BATCH)):
            batch = captions.batch(range(start, min(start + _VALIDATION_BATCH, len(captions))))
            logits = model(batch.features, batch.words, batch.sizes)
            mine.append((float(functional.cross_entropy(logits, batch.targets, reduction="sum")), len(batch.targets)))
        totals, words = zip(*distributed.gather(mine), strict=True)
        return math.exp(min(sum(totals) / sum(words), 50))

    def _decode(self, model: NeuralTalk, width: int, vectors: Tensor) -> list[list[str]]:
        mine = []
        for part in distributed.shard(torch.split(vectors, _DECODED_AT_ONCE)):
            if width == 1:
                indices = decode.greedy(model, part, self._settings.max_words)
            else:
                indices = decode.beam(model, part, width, self._settings.max_words)
            mine.append([self._source.vocabulary.decode(caption) for caption in indices])
        return [caption for part in distributed.gather(mine) for caption in part]

    def _samples(self, hypotheses: Sequence[Sequence[str]]) -> list[dict[str, str]]:
        return [
            {"picture": picture.name, "reference": " ".join(picture.captions[0]), "caption": " ".join(words)}
            for picture, words in zip(self._source.pictures["test"], hypotheses, strict=True)
        ]


build = FlickrTask
