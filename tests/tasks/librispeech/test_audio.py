"""Lengths of recordings from their headers, and the numbers of frames in the networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tasks.librispeech import audio
from tasks.librispeech.models import output_lengths
from tasks.librispeech.spectrogram import features


def test_a_length_that_the_header_does_not_know_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.ones(16_000, np.int16), 16_000)
    assert audio.header(path).samples == len(audio.load(path)) == 16_000
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the 36 bits of STREAMINFO that hold the number of samples
    data[22:26] = bytes(4)
    path.write_bytes(data)
    for read in (audio.header, audio.load):
        with pytest.raises(ValueError, match="its header does not state its length"):
            read(path)


@pytest.mark.parametrize("samples", [320, 479, 480, 481, 639, 640, 16_000, 16_159, 16_160])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_output_frames_are_those_that_the_networks_make(samples: int, stride: int) -> None:
    _, frames = features(torch.zeros(1, samples), torch.tensor([samples]))
    assert audio.output_frames(samples, stride) == int(output_lengths(frames, stride))
    assert audio.output_frames(319, stride) == 0
