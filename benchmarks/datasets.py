"""The data sets of the plan, with their sources and expected fingerprints. Uses only the standard library.

The publishers state no checksums. The checksums here are those of the files that the results were made with.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tasks.recipe import Scale

Name = Literal["tiny-imagenet-50", "noisy-digits", "squeezenet1_0", "flickr8k"]


@dataclass(frozen=True)
class Source:
    """A public download.

    Attributes:
        name: the name of the file or folder in the folder given by `--from`.
        url: where it is published. `commit` is the version, if it is in git.
        get: the commands that download it, or unpack it after applying for it at `url`.
        form: whether one must apply for it.
        measured: the SHA-256 of our copy: of the file, or of all recordings (`tasks.librispeech.prepare.recordings_digest`).
    """

    name: str
    url: str
    licence: str
    get: str
    commit: str = ""
    measured: str = ""
    form: bool = False

    @property
    def how(self) -> str:
        """How to get it, in words."""
        return f"apply at {self.url}, then {self.get}" if self.form else self.get


@dataclass(frozen=True)
class Dataset:
    """A data set that `prepare` makes.

    Attributes:
        made: its folder or file in data/. {snr} is replaced by the signal-to-noise ratio in dB.
        row: a row that uses it, whose verification computes its fingerprints; empty for a file of weights.
        exact: whether every copy has the planned fingerprints. `note` says why not.
    """

    made: str
    sources: tuple[Source, ...]
    row: str = ""
    exact: bool = True
    note: str = ""

    def name(self, snr: int) -> str:
        """Return its name in data/."""
        return self.made.format(snr=str(snr).replace("-", "minus"))


DATASETS: dict[Name, Dataset] = {
    "tiny-imagenet-50": Dataset(
        made="tiny-imagenet-50",
        row="imagenet_resnet18",
        sources=(
            Source(
                name="tiny-imagenet-200",
                url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
                licence="a subset of ImageNet: non-commercial research",
                get="curl -LO -C - http://cs231n.stanford.edu/tiny-imagenet-200.zip && unzip -q tiny-imagenet-200.zip",
            ),
        ),
    ),
    "noisy-digits": Dataset(
        made="noisy-digits-{snr}db",
        row="librispeech_deepspeech",
        sources=(
            Source(
                name="free-spoken-digit-dataset",
                url="https://github.com/Jakobovski/free-spoken-digit-dataset",
                licence="CC BY-SA 4.0",
                commit="26eb9aaf",
                get="git clone https://github.com/Jakobovski/free-spoken-digit-dataset"
                " && git -C free-spoken-digit-dataset checkout 26eb9aaf",
                measured="dbd573d7cafe79c4b49f65718115e1304e24e067fa39eff18a660dc6cb9c360f",
            ),
            Source(
                name="kitchen.wav",
                url="https://github.com/Picovoice/speech-to-intent-benchmark",
                licence="Apache-2.0",
                commit="47b1ca63",
                get="git clone https://github.com/Picovoice/speech-to-intent-benchmark"
                " && git -C speech-to-intent-benchmark checkout 47b1ca63"
                " && cp speech-to-intent-benchmark/data/noise/kitchen.wav .",
                measured="371fae86af484dc2960da35083a3ce7d5729061c1a898ad2e7d4ce7de8de7ec5",
            ),
        ),
    ),
    "squeezenet1_0": Dataset(
        made="squeezenet1_0-imagenet-pruned.safetensors",
        sources=(
            Source(
                name="compressed_SqueezeNet.net",
                url="https://github.com/songhan/SqueezeNet-Deep-Compression",
                licence="BSD 2-clause",
                commit="fb13faa2",
                get="git clone https://github.com/songhan/SqueezeNet-Deep-Compression"
                " && git -C SqueezeNet-Deep-Compression checkout fb13faa2"
                " && cp SqueezeNet-Deep-Compression/compressed_SqueezeNet.net .",
                measured="e4ab6960ae8cd81505e1c2136921201507e930966c53deaf15862a395b3a3261",
            ),
        ),
    ),
    "flickr8k": Dataset(
        made="flickr8k",
        row="flickr8k_neuraltalk",
        sources=(
            Source(
                name="Flicker8k_Dataset and Flickr8k_text",
                url="https://forms.illinois.edu/sec/1713398",
                licence="non-commercial research",
                get="unzip -q Flickr8k_Dataset.zip && unzip -q Flickr8k_text.zip",
                form=True,
            ),
        ),
        exact=False,
        note="the results were made with pictures resized to 128 x 128 and encoded again. The official pictures have another"
        " fingerprint, so their records form separate groups",
    ),
}
"""Name, as given to `prepare`, to data set."""


def prepared(name: str, source: str) -> tuple[Dataset, str] | None:
    """Return the data set that `prepare` makes under a name in data/, and the command; None if it makes none of this name.

    `source` is the folder with its downloads.
    """
    for known, dataset in DATASETS.items():
        pattern = re.escape(dataset.made).replace(re.escape("{snr}"), r"(?P<sign>minus)?(?P<snr>\d+)")
        if found := re.fullmatch(pattern, name):
            noise = found.groupdict()
            ratio = f" --snr {'-' if noise['sign'] else ''}{noise['snr']}" if noise else ""
            return dataset, f"python -m benchmarks prepare {known} --from {source}{ratio}"
    return None


Use = tuple[Scale, float]
"""The scale of the recipe, and the share of training examples. `small` tests on training pictures that it does not train on."""

PLANNED: dict[str, dict[Use, str]] = {
    "tiny-imagenet-50": {
        ("small", 1.0): "c99384ddadca006a",
        ("paper", 1.0): "558a59ad490504cc",
        ("paper", 0.25): "ca16dc0971286cb0",  # in the records of suite 0.1
    },
    "noisy-digits-0db": {("small", 1.0): "29db07415aaf360a"},
    "noisy-digits-5db": {("small", 1.0): "05dde24898ddc49f"},
    "noisy-digits-10db": {("small", 1.0): "d55e6a37b5bcefa3"},  # DeepSpeech's first plan
    "squeezenet1_0-imagenet-pruned.safetensors": {
        ("small", 1.0): "6db7ae0e435e7296b99886e64b31ddafff98e08e83f9f1ae709e37105d92b0d8"
    },
    "flickr8k": {("small", 1.0): "041b1d0225f18fdc"},
}
"""Name in data/ to the fingerprint of every use, as printed by `verify`. For weights, it is the file's SHA-256."""
