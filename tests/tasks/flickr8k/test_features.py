from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.transforms import v2

from tasks import pretrained
from tasks.flickr8k import backbone, features
from tasks.flickr8k.features import Extractor, extract
from tasks.pretrained import Weights

CPU = torch.device("cpu")
NAMES = [f"{letter}.png" for letter in "abcdefghijk"]  # 11: more than a batch of 8
FINGERPRINT = "f1"


class Steps:
    """A progress callback that records its calls. The network ran if and only if there are calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, what: str, done: int, total: int) -> None:
        self.calls.append((what, done, total))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Smooth, different pictures of several sizes: wide, high, larger and smaller than the network's input."""
    root = tmp_path / "pictures"
    root.mkdir()
    for index, name in enumerate(NAMES):
        _picture(index).save(root / name)
    return root


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    path = tmp_path_factory.mktemp("weights") / "squeezenet.safetensors"
    save_file(_random("squeezenet1_1", num_classes=10).state_dict(), path)
    return pretrained.read(str(path))


@pytest.fixture
def extractor(squeezenet: Weights) -> Extractor:
    return Extractor("squeezenet1_1", squeezenet, resize=40, crop=36, device=CPU)


def _picture(index: int) -> Image.Image:
    rng = np.random.default_rng(index)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return coarse.resize((30 + 9 * index, 90 - 5 * index), Image.Resampling.BICUBIC)


def _random(network: str, **settings: object) -> nn.Module:
    """Return a network with random weights. Its batch norm has the pictures' statistics, so that its features differ by picture."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(3)
        model: nn.Module = backbone._construct(network, **settings)
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = None
            norm.reset_running_stats()
        if norms:
            model.train()(_views(64, 64))
    return model.eval()


def _views(resize: int | None, crop: int) -> Tensor:
    """Return the pictures after torchvision's transforms, which the tested code does not use."""
    warp = v2.Resize((crop, crop), v2.InterpolationMode.BICUBIC, antialias=True)
    transform = v2.Compose(
        [
            v2.Resize(resize, antialias=True) if resize else warp,
            v2.CenterCrop(crop),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    return torch.stack([transform(_picture(index)) for index in range(len(NAMES))])


def _before(layer: nn.Module, model: nn.Module, x: Tensor) -> Tensor:
    """Return the input of `layer` when the whole, unchanged model gets x."""
    seen: list[Tensor] = []
    with layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0])), torch.no_grad():
        model(x)
    assert len(seen) == 1
    return seen[0]


def test_squeezenets_features_are_the_average_of_what_enters_its_last_convolution(
    extractor: Extractor, squeezenet: Weights, folder: Path
) -> None:
    steps = Steps()
    found = extract(extractor, folder, NAMES, FINGERPRINT, steps)
    model = _random("squeezenet1_1", num_classes=10)
    entering = _before(model.classifier[1], model, _views(40, 36))
    assert entering.ndim == 4
    torch.testing.assert_close(found, entering.mean((2, 3)), rtol=1e-4, atol=1e-5)
    assert found.std(dim=0).mean() > 0.01  # otherwise pictures are too similar to reveal a mistake
    assert (found.shape, found.dtype, found.device) == ((11, 512), torch.float32, CPU)
    assert not found.is_inference()  # a captioner is trained on them
    assert not found.requires_grad
    assert len({tuple(row) for row in found.tolist()}) == 11
    assert steps.calls == [("extracting features", 8, 11), ("extracting features", 11, 11)]
    assert extractor.describe() == (
        f"squeezenet1_1 (weights squeezenet.safetensors, SHA-256 {squeezenet.sha256[:12]}), "
        "512 features before the classifier, short side 40, crop 36"
    )


@pytest.mark.parametrize(
    ("network", "crop", "last", "width"),
    [
        ("resnet18", 64, "fc", 512),
        ("googlenet", 64, "fc", 1024),
        ("mobilenet_v3_small", 64, "classifier.3", 1024),  # like VGG: a layer, its activation and dropout come before
        ("efficientnet_b0", 64, "classifier.1", 1280),
        ("regnet_y_400mf", 64, "fc", 440),
    ],
)
def test_features_are_what_enters_the_last_linear_layer(
    network: str, crop: int, last: str, width: int, folder: Path
) -> None:
    model = _random(network)
    found = extract(
        Extractor(network, Weights("w", "0" * 64, model.state_dict()), crop, crop, CPU), folder, NAMES, "", Steps()
    )
    entering = _before(model.get_submodule(last), model, _views(crop, crop))
    assert found.shape == (11, width)
    torch.testing.assert_close(found, entering, rtol=1e-3, atol=1e-4)
    assert found.std(dim=0).mean() > 0.02


def test_without_resize_the_whole_picture_is_warped(squeezenet: Weights, folder: Path) -> None:
    one = Extractor("squeezenet1_1", squeezenet, None, 36, CPU)
    model = _random("squeezenet1_1", num_classes=10)
    found = extract(one, folder, NAMES, FINGERPRINT, Steps())
    torch.testing.assert_close(
        found, _before(model.classifier[1], model, _views(None, 36)).mean((2, 3)), rtol=1e-4, atol=1e-5
    )
    assert one.describe().endswith("512 features before the classifier, pictures warped to 36 x 36")


def test_googlenets_weights_bring_their_kind_of_input_and_may_lack_auxiliary_heads() -> None:
    state = _random("googlenet").state_dict()
    pruned = {name: value for name, value in state.items() if not name.startswith("aux")}
    assert len(pruned) < len(state)
    full, x = Weights("w", "0", state), _views(64, 64)
    plain = backbone.load("googlenet", full, CPU)
    assert torch.equal(plain(x), backbone.load("googlenet", Weights("w", "0", pruned), CPU)(x))
    transforming = backbone.load("googlenet", dataclasses.replace(full, transform_input=True), CPU)
    scale = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    torch.testing.assert_close(transforming(x), plain(2 * (x * scale + mean) - 1), rtol=1e-3, atol=1e-4)
    assert (transforming(x) - plain(x)).abs().max() > 0.05


def test_loading_uses_up_nobodys_random_numbers(squeezenet: Weights) -> None:
    before = torch.random.get_rng_state()
    model = backbone.load("squeezenet1_1", squeezenet, CPU)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not any(module.training for module in model.modules())
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_what_cannot_be_used_is_refused(squeezenet: Weights, folder: Path) -> None:
    with pytest.raises(
        ValueError,
        match=r"network='sqeezenet1_0' is not a supported torchvision classifier; did you mean squeezenet1_0",
    ):
        Extractor("sqeezenet1_0", squeezenet, 40, 36, CPU)
    with pytest.raises(ValueError, match="inception_v3"):
        Extractor("inception_v3", squeezenet, 299, 299, CPU)
    with pytest.raises(ValueError, match="network='vgg16' needs weights"):
        Extractor("vgg16", None, 224, 224, CPU)
    with pytest.raises(ValueError, match=r"'pixels' takes no weights, but got squeezenet\.safetensors"):
        Extractor("pixels", squeezenet, 40, 36, CPU)
    with pytest.raises(ValueError, match="crop=41 and resize=40"):
        Extractor("squeezenet1_1", squeezenet, 40, 41, CPU)
    for resize in (40, None):
        with pytest.raises(ValueError, match=f"crop=0 and resize={resize}"):
            Extractor("squeezenet1_1", squeezenet, resize, 0, CPU)
    with pytest.raises(ValueError, match="squeezenet1_1 cannot take pictures of 4 x 4"):
        Extractor("squeezenet1_1", squeezenet, 4, 4, CPU)
    with pytest.raises(ValueError, match="vit_b_16 cannot take pictures of 64 x 64"):
        Extractor("vit_b_16", squeezenet, 64, 64, CPU)
    other = Extractor("squeezenet1_0", squeezenet, 40, 36, CPU)
    with pytest.raises(ValueError, match=r"network='squeezenet1_0': squeezenet\.safetensors does not fit this network"):
        extract(other, folder, NAMES, FINGERPRINT, Steps())


def test_pixels_are_mean_colours_on_a_grid(tmp_path: Path) -> None:
    array = np.zeros((24, 36, 3), np.uint8)
    array[:2, 3:6] = (255, 0, 51)  # exactly the second cell of the first row
    array[22:, 33:, 1] = 102
    array[22, 33:, 1] = 0  # half of the last cell
    Image.fromarray(array).save(tmp_path / "a.png")
    pixels = Extractor("pixels", None, 0, 0, CPU)
    found = extract(pixels, tmp_path, ["a.png"], "", Steps())
    assert found.shape == (1, pixels.width) == (1, 432)
    grid = found.reshape(12, 12, 3)
    torch.testing.assert_close(grid[0, 1], torch.tensor([1.0, -1.0, -0.6]))
    torch.testing.assert_close(grid[11, 11], torch.tensor([-1.0, -0.6, -1.0]))
    assert int((found == -1).sum()) == 432 - 3
    assert pixels.describe() == "pixels: mean colours on a 12 x 12 grid, 432 features"
    assert Extractor("pixels", None, 40, 36, CPU).key() == pixels.key()  # it ignores resize and crop


# The cache


def test_features_are_extracted_once(extractor: Extractor, folder: Path, cache: Path) -> None:
    first = extract(extractor, folder, NAMES, FINGERPRINT, Steps())
    again = Steps()
    assert torch.equal(extract(extractor, folder, NAMES, FINGERPRINT, again), first)
    assert again.calls == []
    (path,) = cache.iterdir()
    assert path.suffix == ".safetensors"
    assert torch.equal(load_file(path)["features"], first)


def test_a_stale_cache_is_never_used(
    extractor: Extractor, folder: Path, cache: Path, squeezenet: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ran(one: Extractor, names: list[str], fingerprint: str) -> int:
        steps = Steps()
        extract(one, folder, names, fingerprint, steps)
        return len(steps.calls)

    first = extract(extractor, folder, NAMES, FINGERPRINT, Steps())
    changed = {name: value * 1.5 for name, value in squeezenet.state.items()}
    other = Weights(squeezenet.source, hashlib.sha256(b"other").hexdigest(), changed)  # under the same file name
    assert ran(dataclasses.replace(extractor, weights=other), NAMES, FINGERPRINT) == 2
    wide = Weights("w", squeezenet.sha256, _random("squeezenet1_0", num_classes=10).state_dict())
    assert ran(Extractor("squeezenet1_0", wide, 40, 36, CPU), NAMES, FINGERPRINT) == 2
    assert ran(dataclasses.replace(extractor, resize=41), NAMES, FINGERPRINT) == 2
    assert ran(dataclasses.replace(extractor, crop=35), NAMES, FINGERPRINT) == 2
    assert ran(extractor, NAMES, "f2") == 2  # a picture's bytes changed
    assert ran(extractor, NAMES[:-1], FINGERPRINT) == 2
    backwards = extract(extractor, folder, NAMES[::-1], FINGERPRINT, Steps())
    # Each batch has other pictures than before, so this also bounds the effect of a batch's composition.
    torch.testing.assert_close(backwards, first.flip(0), rtol=1e-5, atol=1e-6)
    assert not torch.equal(backwards, first)
    assert len(list(cache.iterdir())) == 8
    key, fingerprint = extractor.key(), extractor.fingerprint()
    for module, name, value, computed in (
        (features.torch, "__version__", "0.0", False),
        (features.torchvision, "__version__", "0.0", False),
        (features.PIL, "__version__", "0.0", False),
        (backbone, "MEAN", (0.5, 0.5, 0.5), False),
        (features, "VERSION", 99, True),
        (backbone, "LAYER", "another", True),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            assert extractor.key() != key
            assert (extractor.fingerprint() != fingerprint) is computed, name
    elsewhere = dataclasses.replace(extractor, device=torch.device("cuda"))
    assert (elsewhere.key() != key, elsewhere.fingerprint()) == (True, fingerprint)
    same = dataclasses.replace(extractor, device=torch.device("cpu"))
    assert (same.key(), same.fingerprint()) == (key, fingerprint)


def test_the_fingerprint_tells_extractors_apart(extractor: Extractor, squeezenet: Weights) -> None:
    others = [
        dataclasses.replace(extractor, resize=41),
        dataclasses.replace(extractor, resize=None),
        dataclasses.replace(extractor, crop=35),
        dataclasses.replace(extractor, weights=dataclasses.replace(squeezenet, sha256="0" * 64)),
        dataclasses.replace(extractor, network="squeezenet1_0"),
        Extractor("pixels", None, None, 0, CPU),
    ]
    assert len({one.fingerprint() for one in (extractor, *others)}) == 1 + len(others)


def test_a_damaged_or_foreign_cache_is_never_used(extractor: Extractor, folder: Path, cache: Path) -> None:
    first = extract(extractor, folder, NAMES, FINGERPRINT, Steps())
    (path,) = cache.iterdir()
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[-5] ^= 1
    extract(extractor, folder, NAMES, "another", Steps())
    (foreign,) = (other for other in cache.iterdir() if other != path)
    for damage in (bytes(flipped), good[:-1], good[:20], b"", b"\xff" * 100, foreign.read_bytes()):
        path.write_bytes(damage)
        steps = Steps()
        assert torch.equal(extract(extractor, folder, NAMES, FINGERPRINT, steps), first)
        assert len(steps.calls) == 2
        again = Steps()
        assert torch.equal(extract(extractor, folder, NAMES, FINGERPRINT, again), first)
        assert again.calls == []  # the damaged file was replaced


def test_an_interrupted_extraction_leaves_nothing(extractor: Extractor, folder: Path, cache: Path) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(extractor, folder, NAMES, FINGERPRINT, interrupt)
    assert not cache.exists()


def test_without_a_place_for_the_cache_features_are_extracted_each_time(
    extractor: Extractor, folder: Path, cache: Path
) -> None:
    first = extract(extractor, folder, NAMES, FINGERPRINT, Steps())
    (path,) = cache.iterdir()
    path.unlink()
    cache.rmdir()
    cache.write_bytes(b"")  # a file where the folder should be
    for _ in range(2):
        steps = Steps()
        assert torch.equal(extract(extractor, folder, NAMES, FINGERPRINT, steps), first)
        assert len(steps.calls) == 2


@pytest.mark.parametrize("damage", [b"", b"GIF89a", None])
def test_a_broken_picture_is_named(extractor: Extractor, folder: Path, cache: Path, damage: bytes | None) -> None:
    broken = folder / "i.png"
    if damage is None:
        broken.unlink()
    else:
        broken.write_bytes(damage)
    with pytest.raises((ValueError, FileNotFoundError), match=r"i\.png( is not a readable image|')"):
        extract(extractor, folder, NAMES, FINGERPRINT, Steps())
    assert not cache.exists()


def test_weights_that_give_no_numbers_are_refused(extractor: Extractor, squeezenet: Weights, folder: Path) -> None:
    state = {name: torch.full_like(value, float("nan")) for name, value in squeezenet.state.items()}
    damaged = dataclasses.replace(extractor, weights=dataclasses.replace(squeezenet, state=state))
    with pytest.raises(ValueError, match=r"the features of a\.png are not finite; are these weights damaged"):
        extract(damaged, folder, NAMES, FINGERPRINT, Steps())
