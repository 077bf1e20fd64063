"""Transcripts from the log-probabilities of a network trained with CTC: greedy, or by beam search with a language model.

Frames past an utterance's length are never looked at. Words of a transcript are parted by one space.
"""

from __future__ import annotations

import functools
import itertools
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tasks.librispeech.alphabet import BLANK, SYMBOLS

_TABLE = "".join(SYMBOLS).encode("ascii").rjust(len(SYMBOLS), b"\0").ljust(256, b"\0")  # index to character
_SEPARATOR = "|"  # what the decoding library calls a space: its lists of spellings are separated by spaces
_IMPOSSIBLE = -1e4  # a log-probability; the library adds it up, so it is finite


@torch.inference_mode()
def greedy(log_probabilities: Tensor, lengths: Tensor) -> list[str]:
    """Return the most probable symbol of each frame, without repetitions and then without blanks.

    Args:
        log_probabilities: (batch, time, 29), or anything with the same order, on any device.
        lengths: (batch,) frames of each utterance.

    Raises:
        ValueError: the shapes do not fit.
    """
    _check(log_probabilities, lengths)
    best = log_probabilities.argmax(2)
    said = best != BLANK
    said[:, 1:] &= best[:, 1:] != best[:, :-1]
    said &= torch.arange(best.shape[1], device=best.device) < lengths.to(best.device)[:, None]
    rows = (best * said).to(torch.uint8).cpu().numpy()  # the one transfer, a byte a frame
    return [_words(row.tobytes().translate(_TABLE, b"\0").decode("ascii")) for row in rows]


class LanguageModel(NamedTuple):
    """A language model of words, and how beam search weighs it.

    Attributes:
        path: a text file in ARPA's format. Its words, in lower case, are all that is ever transcribed: a word that it
            lacks, or that the alphabet cannot spell, is not found.
        weight: of its logarithms, which are to base 10, beside the network's, which are natural.
        word_score: added for each word; above 0 it makes up for the price that every word has.
    """

    path: Path
    weight: float = 2.0
    word_score: float = 0.0


@torch.inference_mode()
def beam(
    log_probabilities: Tensor, lengths: Tensor, width: int, language_model: LanguageModel | None = None
) -> list[str]:
    """Return the transcripts that a prefix beam search finds, by flashlight-text, on the processor.

    The probabilities of all alignments of a prefix are added up. With a language model, the last reading of its file is
    kept for the next call: reading a large one takes long.

    Args:
        log_probabilities: (batch, time, 29), normalised, on any device.
        lengths: (batch,) frames of each utterance.
        width: prefixes kept after each frame.
        language_model: scores words; without one, any spelling is as good as another.

    Raises:
        ValueError: flashlight-text is not installed, `width` is less than 1, the shapes do not fit, or the language
            model's file cannot be read or has no word that can be spelled.
    """
    _check(log_probabilities, lengths)
    if width < 1:
        raise ValueError(f"width={width} must be at least 1.")
    decoder = _decoder(width, language_model)
    frames, ends = log_probabilities.float().cpu(), lengths.int().cpu()
    if language_model is None:
        found = [best[0].tokens.tolist() if best else [] for best in decoder(frames.contiguous(), ends)]
        return [_words("".join(SYMBOLS[token] for token in tokens)) for tokens in found]
    # In the library's list a word ends with a space, so each utterance is given a last frame that is surely one.
    frames = torch.nn.functional.pad(frames, (0, 0, 0, 1))
    space = torch.full((len(SYMBOLS),), _IMPOSSIBLE).index_fill(0, torch.tensor(SYMBOLS.index(" ")), 0.0)
    frames[torch.arange(len(frames)), ends.long()] = space
    return [" ".join(best[0].words).lower() if best else "" for best in decoder(frames.contiguous(), ends + 1)]


@functools.lru_cache(maxsize=1)
def _decoder(width: int, language_model: LanguageModel | None) -> Any:
    try:
        from torchaudio.models.decoder import ctc_decoder
    except (ImportError, RuntimeError) as error:  # torchaudio raises the latter
        raise ValueError(
            f"Beam search needs flashlight-text, which cannot be imported ({error}): pip install flashlight-text"
        ) from error
    settings = {"tokens": ["-", _SEPARATOR, *SYMBOLS[2:]], "beam_size": width, "log_add": True}
    if language_model is None:
        return ctc_decoder(lexicon=None, **settings)
    path, weight, word_score = language_model
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".lexicon") as lexicon:
        lexicon.writelines(f"{word} {' '.join(word.lower())} {_SEPARATOR}\n" for word in _vocabulary(path))
        lexicon.flush()
        try:
            return ctc_decoder(lexicon.name, lm=str(path), lm_weight=weight, word_score=word_score, **settings)
        except RuntimeError as error:
            raise ValueError(f"{path} cannot be read as a language model: {error}") from error


def _vocabulary(path: Path) -> list[str]:
    """Return the words of an ARPA file that the alphabet can spell."""
    words: list[str] = []
    try:
        with path.open(encoding="utf-8") as lines:
            for line in itertools.dropwhile(lambda line: line.strip() != "\\1-grams:", lines):
                if line.startswith(("\\2-grams:", "\\end")):
                    break
                words += line.split()[1:2]  # its logarithm, the word, and often a second logarithm
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a language model: {error}") from error
    spelled = [word for word in words if set(word.lower()) <= set(SYMBOLS)]
    if not spelled:
        raise ValueError(f"{path} is no language model in ARPA's format that has a word of letters a to z.")
    return spelled


def _words(text: str) -> str:
    return " ".join(text.split())


def _check(log_probabilities: Tensor, lengths: Tensor) -> None:
    shape = tuple(log_probabilities.shape)
    if len(shape) != 3 or shape[2] != len(SYMBOLS) or tuple(lengths.shape) != shape[:1]:
        raise ValueError(
            f"log_probabilities of shape {shape} and lengths of shape {tuple(lengths.shape)}: "
            f"expected (batch, time, {len(SYMBOLS)}) and (batch,)."
        )
