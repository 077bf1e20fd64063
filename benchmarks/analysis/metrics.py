"""Display names, units and decimals of metrics, and their grouping into tables."""

from __future__ import annotations

import re
from collections.abc import Iterable

PERPLEXITY = "val_perplexity"
"""Per-word perplexity on the validation split, by which NeuralTalk chooses its checkpoint."""

_LABELS = {
    "top1_error": "top-1 error",
    "top5_error": "top-5 error",
    "wer": "WER",
    "cer": "CER",
    **{f"bleu{n}": f"BLEU-{n}" for n in range(1, 5)},
    **{f"bleu{n}_standard": f"BLEU-{n} (standard)" for n in range(1, 5)},
    "brevity_penalty": "brevity penalty",
    "caption_words": "words per caption",
    "val_loss": "validation loss",
    PERPLEXITY: "validation perplexity",
    "test_loss": "test loss",
}
_RANKS = {name: rank for rank, name in enumerate(_LABELS)}
_UNKNOWN = _RANKS["bleu4_standard"] + 0.5
_BEAM = re.compile(r"^(beam(\d+))_(.+)$")
_FOLDER = re.compile(r"^(wer|cer)_(.+)$")  # on one folder of the test set; the plain name covers the whole test set
_BESIDE = ("brevity_penalty", "caption_words")  # these explain the difference between the two kinds of BLEU
_STANDARD, _FOLDERS = "standard", "folders"


def label(name: str, short: bool = False) -> str:
    """Return the display name. Unless `short`, it states the beam width and the kind of BLEU."""
    beam, plain = _BEAM.fullmatch(name), _plain(name)
    folder = _FOLDER.fullmatch(plain)
    text = f"{_LABELS[folder[1]]} {folder[2]}" if folder else _LABELS.get(plain, plain)
    if plain.startswith("bleu") and not plain.endswith("_standard") and not short:
        text += " (no penalty)"
    return f"{text}, beam {beam[2]}" if beam and not short else text


def unit(name: str, primary: str, primary_unit: str) -> str:
    """Return the unit; empty if none or unknown. Records state only the primary metric's unit."""
    if name == primary:
        return primary_unit
    return "%" if name.endswith("_error") or "bleu" in name or _base(name) in ("wer", "cer") else ""


def with_unit(name: str, of: str, short: bool = False) -> str:
    """Return the display name with the unit `of`, unless the name contains it. By convention, BLEU has no unit."""
    text = label(name, short)
    return text if not of or of.lower() in text.lower() or "bleu" in name else f"{text} {of}"


def digits(name: str) -> int:
    """Return the number of decimals to print."""
    return 3 if name.endswith("brevity_penalty") else 2


def ordered(names: Iterable[str]) -> list[str]:
    """Return the names in column order: the paper's metrics first, losses last."""
    return sorted(names, key=lambda name: (_RANKS.get(_base(name), _UNKNOWN), name))


def family(name: str) -> str:
    """Return the table of a metric: "" (main), standard BLEU, test folders, or a beam width."""
    beam = _BEAM.fullmatch(name)
    if beam:
        return beam[1]
    if _FOLDER.fullmatch(name):
        return _FOLDERS
    return _STANDARD if name.endswith("_standard") or name in _BESIDE else ""


def families(names: Iterable[str]) -> list[str]:
    """Return the families of the names, the main one first."""
    return sorted({family(name) for name in names}, key=lambda of: (of != "", of != _STANDARD, of))


def heading(of: str) -> str:
    """Return the title of a family's table."""
    plain = {"": "Arms", _STANDARD: "Arms, standard BLEU", _FOLDERS: "Arms, by folder of the test set"}
    return plain.get(of) or f"Arms, beam {of.removeprefix('beam')}"


def sentence(of: str, primary: str) -> str:
    """Return the explanation of a family's table; empty if the columns are self-explanatory."""
    if of == _STANDARD:
        return "The same captions scored with standard BLEU, with the brevity penalty, in percent."
    if of == _FOLDERS:
        return "The same transcripts, by folder of the test set."
    if of:
        width = of.removeprefix("beam")
        if not primary.startswith("bleu"):
            return f"The same networks, decoded by beam search of width {width}."
        return f"The same networks, with captions from beam search of width {width}; both kinds of BLEU, in percent."
    if not primary.startswith("bleu"):
        return ""
    return "BLEU as printed by NeuralTalk's script and the paper: without the brevity penalty, in percent."


def variants(names: Iterable[str], primary: str) -> list[str]:
    """Return the variants of the primary metric, which share its direction: standard, by folder, or by beam width."""
    others = ordered(name for name in names if name != primary and primary in name.split("_"))
    return sorted(others, key=family, reverse=True)


def _plain(name: str) -> str:
    """Return the name without the beam width."""
    return _BEAM.sub(r"\3", name)


def _base(name: str) -> str:
    """Return the name without beam width and folder."""
    return _FOLDER.sub(r"\1", _plain(name))
