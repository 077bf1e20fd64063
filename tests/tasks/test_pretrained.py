from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks.training import checkpoint
from tasks import pretrained
from tasks.imagenet import models
from tasks.imagenet.recipes import RECIPES
from tests.benchmarks.test_checkpoint import Bomb


@pytest.fixture
def network() -> nn.Module:
    return nn.Linear(3, 2)


def test_both_kinds_of_file_give_the_same_weights(network: nn.Module, tmp_path: Path) -> None:
    save_file(network.state_dict(), tmp_path / "a.safetensors")
    torch.save(network.state_dict(), tmp_path / "a.pth")
    for name in ("a.safetensors", "a.pth"):
        copy = nn.Linear(3, 2)
        found = pretrained.read(str(tmp_path / name))
        found.load_into(copy)
        assert torch.equal(copy.weight, network.weight)
        assert (found.source, len(found.sha256), found.data) == (name, 64, "")


def test_a_file_may_say_which_data_its_network_belongs_to(network: nn.Module, tmp_path: Path) -> None:
    save_file(network.state_dict(), tmp_path / "a.safetensors", {"data": "041b1d0225f18fdc"})
    assert pretrained.read(str(tmp_path / "a.safetensors")).data == "041b1d0225f18fdc"


def test_weights_of_another_network_are_refused_by_name(network: nn.Module, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.pth does not fit this network: size mismatch for weight"):
        pretrained.read(str(tmp_path / "a.pth")).load_into(nn.Linear(4, 2))
    torch.save(nn.Sequential(*(nn.Linear(2, 2) for _ in range(9))).state_dict(), tmp_path / "deep.pth")
    with pytest.raises(ValueError, match="does not fit") as found:
        pretrained.read(str(tmp_path / "deep.pth")).load_into(nn.Sequential(*(nn.Linear(3, 3) for _ in range(9))))
    assert "0.weight" in str(found.value)
    assert "8.weight" not in str(found.value)
    assert str(found.value).endswith("; and 15 more")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod."])
def test_weights_of_a_wrapped_network_are_refused_with_the_cause_first(prefix: str, tmp_path: Path) -> None:
    deep = nn.Sequential(*(nn.Linear(2, 2) for _ in range(40)))
    torch.save({prefix + name: weight for name, weight in deep.state_dict().items()}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="does not fit this network: every name begins with") as found:
        pretrained.read(str(tmp_path / "a.pth")).load_into(deep)
    assert prefix in str(found.value)
    assert "save the state_dict of the network inside" in str(found.value)
    assert '"1.bias"' not in str(found.value)
    assert str(found.value).count("and 77 more.") == 2


def test_what_is_no_state_dict_is_refused_and_nothing_is_executed(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ValueError, match="does not hold a state_dict"):
        pretrained.read(str(tmp_path / "list.pt"))
    torch.save({"w": Bomb(tmp_path / "executed")}, tmp_path / "bomb.pth")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    for name in ("bomb.pth", "cut.safetensors"):
        with pytest.raises(ValueError, match=f"{name} is not a readable file of weights"):
            pretrained.read(str(tmp_path / name))
    assert not (tmp_path / "executed").exists()


def test_a_torchvision_name_is_read_from_torchs_cache(
    network: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.save(network.state_dict(), tmp_path / "checkpoints" / "resnet18-f37072fd.pth")
    found = pretrained.read("ResNet18_Weights.IMAGENET1K_V1")
    assert torch.equal(found.state["weight"], network.state_dict()["weight"])
    assert found.source == "ResNet18_Weights.IMAGENET1K_V1"
    with pytest.raises(ValueError, match=r"knows no weights called 'ResNet18_Weights\.NONE'"):
        pretrained.read("ResNet18_Weights.NONE")


def test_googlenet_keeps_torchvisions_input_through_a_saved_file(tmp_path: Path) -> None:
    recipe = RECIPES["imagenet_googlenet"]["smoke"]
    network = models.build("googlenet", recipe.model, 12, seed=0)
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    for name, metadata, expected in (("ours", None, False), ("torchvision", {"transform_input": "1"}, True)):
        save_file(state, tmp_path / f"{name}.safetensors", metadata)
        pretrained.read(str(tmp_path / f"{name}.safetensors")).load_into(network)
        assert network.transform_input is expected


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("passwd", b"root:x:0:0:root:/root:/bin/bash\n", "neither a .safetensors file nor a state_dict of torch.save"),
        ("page.pth", b"<!DOCTYPE html><html>", "neither a .safetensors file nor a state_dict of torch.save"),
        ("empty.pt", b"", "neither a .safetensors file nor a state_dict of torch.save"),
        ("pointer.pt", b"version https://git-lfs.github.com/spec/v1\n", "neither a .safetensors file nor"),
        ("none.safetensors", b"", "header too small"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="is not a readable file of weights") as found:
        pretrained.read(str(tmp_path / name))
    assert reason in str(found.value)
    assert "\n" not in str(found.value)
    assert "list index" not in str(found.value)


def test_a_refused_pickle_passes_on_no_advice_to_execute_it(network: nn.Module, tmp_path: Path) -> None:
    torch.save({"w": Bomb(tmp_path / "executed")}, tmp_path / "bomb.pth")
    torch.save(network, tmp_path / "module.pth")
    torch.save({"args": argparse.Namespace(lr=0.1), "model": network.state_dict()}, tmp_path / "train.pth")
    for name, inside in (
        ("bomb.pth", ""),
        ("module.pth", "torch.nn.modules.linear.Linear"),
        ("train.pth", "argparse.Namespace"),
    ):
        for reader in (pretrained.read, lambda path: checkpoint.load(Path(path))):
            with pytest.raises(ValueError, match="nothing in a file is executed") as found:
                reader(str(tmp_path / name))
            said = str(found.value)
            assert inside in said
            assert "\n" not in said
            assert not any(advice in said for advice in ("weights_only", "add_safe_globals", "trusted source"))
