"""The speech rows (standard library only)."""

from __future__ import annotations

from tasks.librispeech.recipes import RECIPES, REMARKS, SOURCES, WER
from tasks.options import PROBE
from tasks.row import Row

NUMERICS = 1
"""Increase it with every change that alters results but no recipe (see `Row.version`)."""

ROWS = tuple(
    Row(
        name=name,
        title=title,
        domain="librispeech",
        dataset="LibriSpeech",
        layout="train*/, dev*/ and test*/SPEAKER/CHAPTER/*.flac with their .trans.txt",
        train_examples=281_241,
        test_examples=2_620 + 2_939,
        metric=WER,
        recipes=RECIPES[name],
        sources=SOURCES[name],
        remarks=REMARKS,
        options=(PROBE,),
        version=NUMERICS,
    )
    for name, title in {"librispeech_deepspeech": "DeepSpeech", "librispeech_deepspeech2": "DeepSpeech 2"}.items()
)
