"""What decides the two speech networks and their input: parts of a recipe, so plain frozen data (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.recipe import require

SYMBOLS = 29
"""Network outputs: the letters a to z, the apostrophe, the space and CTC's blank."""

SAMPLE_RATE = 16_000
"""Samples a second, LibriSpeech's own."""

WINDOW, HOP = 320, 160
"""Samples that a frame looks at (20 ms) and by which the next one is later (10 ms)."""

BINS = WINDOW // 2 + 1
"""Numbers that describe a frame: 161 powers, from 0 Hz to 8 kHz in steps of 50 Hz."""


@dataclass(frozen=True)
class DeepSpeech1Settings:
    """Sizes of the first DeepSpeech; the defaults are those of the DSD paper's parameter counts.

    Attributes:
        width: units of every hidden layer.
        context: frames on either side of the one that the first layer is centred on.
        stride: frames from one window to the next (Hannun et al. 2014, Section 3.3: 2).
        dropout: of the feed-forward hidden layers' outputs in training, never within the recurrence (Hannun et al. 2014,
            Section 2.1: 5 to 10 %).
        clip: c of the activation min(max(x, 0), c).
    """

    width: int = 1024
    context: int = 5
    stride: int = 2
    dropout: float = 0.05
    clip: float = 20.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: names the setting and its value.
        """
        require(
            self,
            width=(self.width >= 1, "at least 1"),
            context=(self.context >= 0, "at least 0"),
            stride=(self.stride >= 1, "at least 1"),
            dropout=(0 <= self.dropout < 1, "a probability in [0, 1)"),
            clip=(self.clip > 0, "a positive number"),
        )


@dataclass(frozen=True)
class DeepSpeech2Settings:
    """Sizes of DeepSpeech 2; the defaults are those of the DSD paper's parameter counts.

    Attributes:
        width: units of every recurrent layer and of the fully connected one.
        layers: recurrent layers.
        channels: of both convolutions.
        clip: c of the activation min(max(x, 0), c).
    """

    width: int = 1760
    layers: int = 7
    channels: int = 32
    clip: float = 20.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: names the setting and its value.
        """
        require(
            self,
            width=(self.width >= 1, "at least 1"),
            layers=(self.layers >= 1, "at least 1"),
            channels=(self.channels >= 1, "at least 1"),
            clip=(self.clip > 0, "a positive number"),
        )


@dataclass(frozen=True)
class SpecAugment:
    """Masks over a spectrogram in training (Park et al. 2019); the defaults are their LibriSpeech policy LD's, which has no warp.

    Their 80 mel bands are 161 linear bins here, so that a frequency mask of the same width hides less.

    Attributes:
        frequency_masks, frequency_width: how many runs of bins, and the longest that one may be.
        time_masks, time_width: how many runs of frames, and the longest that one may be.
        time_part: no run of frames is longer than this part of the utterance.
    """

    frequency_masks: int = 2
    frequency_width: int = 27
    time_masks: int = 2
    time_width: int = 100
    time_part: float = 1.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: names the setting and its value.
        """
        require(
            self,
            frequency_masks=(self.frequency_masks >= 0, "at least 0"),
            frequency_width=(0 <= self.frequency_width <= BINS, f"0 to {BINS} bins"),
            time_masks=(self.time_masks >= 0, "at least 0"),
            time_width=(self.time_width >= 0, "at least 0"),
            time_part=(0 <= self.time_part <= 1, "a part in [0, 1]"),
        )
