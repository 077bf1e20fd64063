"""Speech on a GPU, which adds in another order than a CPU: features, recurrence, networks and loss agree up to rounding."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from tasks.librispeech import spectrogram, task
from tasks.librispeech.models import DeepSpeech, DeepSpeech2
from tasks.librispeech.recipes import DEEPSPEECH, DEEPSPEECH2, Speech
from tasks.librispeech.recurrent_layer import Packing, Recurrent
from tasks.librispeech.settings import DeepSpeech1Settings, DeepSpeech2Settings, SpecAugment
from tasks.recipe import Recipe

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

# Bounds of the norm of a difference, divided by the norm of the CPU's result. Between float32 and float64 on a CPU, values and
# gradients differ by up to 6e-6. If rounding moves one of 100,000 activations over a clipping limit, gradients differ by 1e-2.
VALUES = {torch.float32: 1e-4, torch.float64: 1e-10}
GRADIENTS = {torch.float32: 5e-2, torch.float64: 1e-10}
LENGTHS = torch.tensor([23, 40, 1, 31])
CPU, GPU = torch.device("cpu"), torch.device("cuda")

# Without dropout: its noise would differ between devices.
ONE = dataclasses.replace(DEEPSPEECH, model=DeepSpeech1Settings(width=24, dropout=0.0), batch_size=8)
TWO = dataclasses.replace(DEEPSPEECH2, model=DeepSpeech2Settings(width=20, layers=2, channels=3), batch_size=8)
BOTH = pytest.mark.parametrize("recipe", [ONE, TWO], ids=["deepspeech", "deepspeech2"])
DTYPES = pytest.mark.parametrize("dtype", VALUES, ids=["float32", "float64"])


@pytest.fixture(autouse=True)
def _full_precision() -> Iterator[None]:
    """Turn off TF32, which convolutions use by default and matrix products do not."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> task.Source:
    """Ten training and ten test recordings of 0.3 to 0.9 s: three tones each, in noise."""
    root = tmp_path_factory.mktemp("speech") / "set"
    generator = np.random.Generator(np.random.PCG64(0))
    for split in ("train", "test"):
        chapter = root / split / f"{len(split)}" / "1"
        chapter.mkdir(parents=True)
        for index in range(10):
            samples = 4_800 + 1_000 * index
            tones = np.sin(np.arange(samples)[:, None] * generator.uniform(0.1, 2.0, 3)).sum(1)
            sound = 6_000 * tones + generator.normal(0, 500, samples)
            soundfile.write(chapter / f"{len(split)}-1-{index:04}.flac", sound.astype(np.int16), 16_000)
        said = [f"{len(split)}-1-{index:04} {'IT IS A'[: 1 + index % 7].strip()}" for index in range(10)]
        (chapter / f"{len(split)}-1.trans.txt").write_text("\n".join(said), encoding="utf-8")
    return task.open_data(ONE, root, 1.0, lambda *_: None)


def network(recipe: Recipe) -> DeepSpeech | DeepSpeech2:
    if isinstance(recipe.model, DeepSpeech1Settings):
        return DeepSpeech(recipe.model, seed=0)
    return DeepSpeech2(recipe.model, seed=0)


Found = tuple[dict[str, Tensor], dict[str, Tensor]]  # values by name, gradients by name


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def through_recurrence(normalise: bool, dtype: torch.dtype, device: torch.device) -> Found:
    layer = Recurrent(16, 24, 1.0, normalise, torch.Generator().manual_seed(0)).to(device, dtype)
    generator = torch.Generator().manual_seed(1)
    x, weights = (torch.randn(len(LENGTHS), 40, size, generator=generator).to(device, dtype) for size in (16, 24))
    packing = Packing.of(LENGTHS.to(device), 40)
    rows = packing.pack(x).requires_grad_()
    states = packing.unpack(layer(rows, packing))
    (states * weights).sum().backward()
    assert rows.grad is not None
    return {"states": states.detach()}, {"input": rows.grad, **gradients(layer)}


def through_network(recipe: Recipe, dtype: torch.dtype, device: torch.device) -> Found:
    model = network(recipe).to(device, dtype).train()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(len(LENGTHS), 40, 161, generator=generator).to(device, dtype)
    weights = torch.randn(len(LENGTHS), 20, 29, generator=generator).to(device, dtype)
    trained, lengths = model(x, LENGTHS.to(device))
    assert lengths.tolist() == [12, 20, 1, 16]
    (trained * weights).sum().backward()
    with torch.no_grad():
        evaluated, _ = model.eval()(x, LENGTHS.to(device))
    statistics = {name: value for name, value in model.named_buffers() if value.is_floating_point()}
    return {"trained": trained.detach(), "evaluated": evaluated, **statistics}, gradients(model)


def through_task(recipe: Recipe, source: task.Source, device: torch.device) -> Found:
    """A training step without the update."""
    one = task.build(recipe, source, 0, device, None)
    model = one.model().train()
    (batch,) = one.batches(0, 1)
    torch.manual_seed(0)
    loss, _ = one.loss(model, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    features, _ = spectrogram.features(batch.waveforms, batch.samples)
    return {"features": features, "loss": loss.detach()}, gradients(model)


def assert_agree(found: Found, expected: Found, dtype: torch.dtype, device: torch.device = GPU) -> None:
    for ours, theirs, bound in zip(found, expected, (VALUES[dtype], GRADIENTS[dtype]), strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            assert value.device.type == device.type
            assert value.dtype == dtype
            size = float(theirs[name].double().norm())
            assert size > 0, name
            off = float((value.cpu().double() - theirs[name].double()).norm()) / size
            assert off < bound, f"{name} is off by {off:.1e} of its norm"


@DTYPES
@pytest.mark.parametrize("normalise", [False, True], ids=["bias", "batch norm"])
def test_recurrence_on_a_gpu_has_a_cpus_states_and_gradients(normalise: bool, dtype: torch.dtype) -> None:
    expected = through_recurrence(normalise, dtype, CPU)
    assert (expected[0]["states"] == 2).any()  # clipped in both directions
    assert_agree(through_recurrence(normalise, dtype, GPU), expected, dtype)


@DTYPES
@BOTH
def test_networks_on_a_gpu_have_a_cpus_outputs_and_gradients(recipe: Recipe, dtype: torch.dtype) -> None:
    assert_agree(through_network(recipe, dtype, GPU), through_network(recipe, dtype, CPU), dtype)


@BOTH
@pytest.mark.parametrize("augment", [None, SpecAugment()], ids=["plain", "augmented"])
def test_a_training_step_on_a_gpu_has_a_cpus_spectrograms_ctc_loss_and_gradients(
    recipe: Recipe, augment: SpecAugment | None, source: task.Source
) -> None:
    masked = dataclasses.replace(recipe, data=Speech(augment=augment))
    assert_agree(through_task(masked, source, GPU), through_task(masked, source, CPU), torch.float32)


@BOTH
def test_a_gpu_hears_what_a_cpu_hears(recipe: Recipe, source: task.Source) -> None:
    heard = []
    for device in (CPU, GPU):
        one = task.build(recipe, source, 0, device, None)
        heard.append(one.evaluate(one.model(), thorough=True))
    assert heard[0].samples == heard[1].samples
    assert heard[0].metrics == heard[1].metrics
    assert any(sample["transcript"] for sample in heard[0].samples)
