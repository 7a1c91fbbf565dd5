"""Two processes, each with half of a batch, have the gradients of the whole: data parallel, and fully sharded."""

from __future__ import annotations

import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from eqmodels import create_model

NAMES = ["c4_resnet18s_w4", "c8_resnet18s_w8"]


def network(name):
    torch.manual_seed(0)
    return create_model(name, num_classes=3, global_pool="canonical-soft", pose_hidden=8).double().eval()


def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(4, 3, 12, 12, dtype=torch.float64, generator=generator), torch.tensor([0, 1, 2, 1])


def sharded(model: nn.Module) -> nn.Module:
    mesh = init_device_mesh("cpu", (2,))
    for stage in model.stages:
        fully_shard(model.get_submodule(stage), mesh=mesh)
    return fully_shard(model, mesh=mesh)


def work(rank, store, results):
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    images, labels = (part[2 * rank : 2 * rank + 2] for part in batch())
    found = {}
    for name in NAMES:
        for way, wrap in {"data parallel": DistributedDataParallel, "sharded": sharded}.items():
            model = wrap(network(name))
            F.cross_entropy(model(images), labels).backward()
            gradients = {key.removeprefix("module."): value.grad for key, value in model.named_parameters()}
            found[name, way] = {
                key: value.full_tensor() if hasattr(value, "full_tensor") else value for key, value in gradients.items()
            }
    if rank == 0:
        torch.save(found, results)
    distributed.destroy_process_group()


@pytest.mark.slow
def test_gradients_of_halves_are_those_of_the_whole(tmp_path):
    multiprocessing.spawn(work, (str(tmp_path / "store"), str(tmp_path / "results.pt")), nprocs=2)
    results = torch.load(tmp_path / "results.pt", weights_only=True)
    assert len(results) == 4
    for (name, way), gradients in results.items():
        model = network(name)
        images, labels = batch()
        F.cross_entropy(model(images), labels).backward()
        for key, value in model.named_parameters():
            torch.testing.assert_close(
                gradients[key], value.grad, rtol=1e-8, atol=1e-12, msg=lambda m, key=key, way=way: f"{way}: {key}: {m}"
            )
