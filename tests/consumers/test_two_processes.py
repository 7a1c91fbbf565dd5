"""Two processes, each with half of a batch, have the gradients of the whole: data parallel, and fully sharded."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import distributed, multiprocessing, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from eqmodels import create_model

NAMES = ["c4_resnet18s_w4", "c8_resnet18s_w8"]
WAYS = ("data parallel", "sharded", "sharded by the older class")


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


def wrapped(model: nn.Module, way: str) -> nn.Module:
    if way == "sharded":
        return sharded(model)
    if way == "data parallel":
        return DistributedDataParallel(model)
    return FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))


def whole_gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    """By the names of the parameters as the network has them."""
    is_older = isinstance(model, FullyShardedDataParallel)
    with FullyShardedDataParallel.summon_full_params(model, with_grads=True) if is_older else nullcontext():
        found = {key: value.grad for key, value in model.named_parameters()}
        found = {key: value.full_tensor() if hasattr(value, "full_tensor") else value for key, value in found.items()}
        return {key.removeprefix("module."): value.clone() for key, value in found.items()}


def work(rank, store, results):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    images, labels = (part[2 * rank : 2 * rank + 2] for part in batch())
    found = {}
    for name in NAMES:
        for way in WAYS:
            model = wrapped(network(name), way)
            F.cross_entropy(model(images), labels).backward()
            found[name, way] = whole_gradients(model)
    if rank == 0:
        torch.save(found, results)
    distributed.destroy_process_group()


def test_gradients_of_halves_are_those_of_the_whole(tmp_path):
    places = (str(tmp_path / "store"), str(tmp_path / "results.pt"))
    # Forked: to import everything anew in two processes takes longer than all that is done in them.
    multiprocessing.start_processes(work, places, nprocs=2, start_method="fork")
    results = torch.load(tmp_path / "results.pt", weights_only=True)
    assert len(results) == len(NAMES) * len(WAYS)
    for (name, way), gradients in results.items():
        model = network(name)
        images, labels = batch()
        F.cross_entropy(model(images), labels).backward()
        for key, value in model.named_parameters():
            torch.testing.assert_close(
                gradients[key], value.grad, rtol=1e-8, atol=1e-12, msg=lambda m, key=key, way=way: f"{way}: {key}: {m}"
            )
