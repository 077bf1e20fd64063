"""Code paths that differ between GPU and CPU."""

import pytest
import torch
from torch import nn, optim

import dsd

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def test_a_sparse_phase_on_a_gpu_selects_holds_packs_and_restarts_as_on_a_cpu() -> None:
    torch.manual_seed(0)
    cpu = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 5))
    gpu = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 5)).cuda()
    gpu.load_state_dict(cpu.state_dict())
    optimizer = optim.RMSprop(gpu.parameters(), lr=1e-3)
    expected = dsd.select(cpu, 0.5)
    with dsd.sparse(gpu, optimizer, 0.5) as masks:
        for name, mask in masks.items():
            assert mask.is_cuda
            assert torch.equal(mask.cpu(), expected[name])
        gpu(torch.randn(4, 3, 8, 8, device="cuda")).square().mean().backward()
        optimizer.step()
        for name, mask in masks.items():
            assert (gpu.get_parameter(name)[~mask] == 0).all()
            assert not gpu.get_parameter(name)[~mask].signbit().any()
    on_cpu = dsd.unpack(dsd.pack(masks))
    dsd.restart(optimizer, "keep", on_cpu, model=gpu)
    with dsd.hold(gpu, optimizer, on_cpu):
        assert [row.zeros for row in dsd.mask_report(gpu, masks)] == [108, 720]
