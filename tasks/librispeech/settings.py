"""Settings of the two speech networks and their input; they are parts of the recipe (standard library only)."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.recipe import require

SYMBOLS = 29
"""Network outputs: the letters a to z, the apostrophe, the space and CTC's blank."""

SAMPLE_RATE = 16_000
"""Samples per second, as in LibriSpeech."""

WINDOW, HOP = 320, 160
"""Samples of a frame (20 ms) and between the starts of frames (10 ms)."""

BINS = WINDOW // 2 + 1
"""Frequency bins of a frame: 161, from 0 Hz to 8 kHz in steps of 50 Hz."""


@dataclass(frozen=True)
class DeepSpeech1Settings:
    """Sizes of the first DeepSpeech; the defaults follow from the parameter counts in the DSD paper.

    Attributes:
        width: units of every hidden layer.
        context: frames on either side of the central frame of a window of the first layer.
        stride: frames from one window to the next (Hannun et al. 2014, Section 3.3: 2).
        dropout: dropout rate of the outputs of the feed-forward hidden layers; the recurrent layer has none (Hannun et al. 2014,
            Section 2.1: 5 to 10 %).
        clip: the limit c of the activation min(max(x, 0), c).
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
    """Sizes of DeepSpeech 2; the defaults follow from the parameter counts in the DSD paper.

    Attributes:
        width: units of every recurrent layer and of the fully connected layer.
        layers: number of recurrent layers.
        channels: output channels of both convolutions.
        clip: the limit c of the activation min(max(x, 0), c).
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
    """Masks of a spectrogram in training (Park et al. 2019). The defaults are those of their LibriSpeech policy LD without warp.

    Park et al. have 80 mel bands and we have 161 linear bins, so a frequency mask of the same width hides less here.

    Attributes:
        frequency_masks, frequency_width: number of runs of bins, and their maximum length.
        time_masks, time_width: number of runs of frames, and their maximum length.
        time_part: maximum length of a run of frames as a share of the utterance.
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
