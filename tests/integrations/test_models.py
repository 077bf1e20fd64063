"""The weights that `prunable` selects in common models: the table of docs/how-it-works.md."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import dsd

TABLE = (Path(__file__).parents[2] / "docs/how-it-works.md").read_text(encoding="utf-8")


def resnet18() -> nn.Module:
    return pytest.importorskip("torchvision", reason="torchvision is not installed").models.resnet18()


def vit_b_16() -> nn.Module:
    return pytest.importorskip("torchvision", reason="torchvision is not installed").models.vit_b_16()


def bert() -> nn.Module:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed: nox -s integrations")
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    return transformers.BertModel(transformers.BertConfig(vocab_size=100, **small))


def lstm() -> nn.Module:
    return nn.LSTM(8, 16, num_layers=2)


def conformer() -> nn.Module:
    torchaudio = pytest.importorskip("torchaudio", reason="torchaudio is not installed: it runs in nox -s tests")
    return torchaudio.models.Conformer(8, 2, 16, 2, 31)


# The model, the number of pruned weights, parts of the excluded names, and the weights that each `skip` pattern removes.
MODELS = [
    (resnet18, 20 + 1, ("bn", "downsample", ".bias"), {"conv1": ["conv1.weight"]}),
    (
        vit_b_16,
        2 + 12 * 4 + 1,
        ("ln", "class_token", "bias"),
        {"*.pos_embedding": ["encoder.pos_embedding"], "conv_proj": ["conv_proj.weight"]},
    ),
    (
        bert,
        3 + 2 * 6 + 1,
        ("LayerNorm", "bias"),
        {"*embeddings": [f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")]},
    ),
    (lstm, 4, ("bias",), {}),
    (conformer, 2 * 9, ("norm", "bias", "sequential.0.", "conv_module.sequential.3"), {}),
]


@pytest.mark.parametrize(("make", "count", "spared", "skips"), MODELS, ids=[make.__name__ for make, *_ in MODELS])
def test_the_table_says_what_is_pruned(make, count: int, spared: tuple[str, ...], skips: dict[str, list[str]]) -> None:
    torch.manual_seed(0)
    model = make()
    found = dsd.prunable(model)
    assert len(found.weights) == count
    assert all(any(part in name for part in spared) for name in found.excluded)
    for pattern, names in skips.items():
        assert f'`"{pattern}"`' in TABLE
        assert sorted(found.weights.keys() - dsd.prunable(model, skip=(pattern,)).weights.keys()) == sorted(names)
