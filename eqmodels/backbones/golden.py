"""Golden features: what a network computes of one fixed image, stored with its weights and compared when they load."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.backbones.named import NamedNetwork
from eqmodels.backbones.network import StagedNetwork
from eqmodels.storage import GOLDEN_SIDE, StorageError, printable

__all__ = ["check_golden", "fitting_size", "fixed_image", "golden_features"]

Heads = Callable[[Tensor], Mapping[str, Tensor]]
"""From regular features ``(1, F)`` to outputs by name."""

GOLDEN_TOLERANCE, POOLED_TOLERANCE = 1e-4, 1e-3
"""How far features of the fixed image may be from the stored ones, as a part of the largest; and so the pooled ones, in
which a norm or the weights of poses magnify rounding errors."""

CLOUD = (32, 3)
"""Points of the fixed cloud, and coordinates of each: the size of the fixed input of a network of points."""

DECIDED = 1e-3
"""By how much the largest logit of the fixed image's pose must exceed the others, as a part of the largest."""


def fixed_image(channels: int, size: tuple[int, int]) -> Float[Tensor, "1 C H W"]:
    """An image without any symmetry, by a formula, so that it is the same everywhere; values in [0, 1]."""
    c, y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (channels, *size)), indexing="ij")
    waves = torch.sin(0.9 * y + 0.05 * y * x + c) + torch.cos(0.6 * x - 0.02 * x * x + 0.3 * y + 2 * c)
    return (0.5 + 0.25 * waves).to(torch.float32)[None]


@torch.no_grad()
def fitting_size(network: StagedNetwork, size: tuple[int, int]) -> tuple[int, int]:
    """The largest size, not above the given one along either axis, at which the network runs.

    A network of exact strides takes sides of ``1 mod 32`` alone, or ``1 mod 8``; every other takes any.

    Raises:
        ValueError: if it runs at none; says why not at the given one.
    """
    own = copy.deepcopy(network).eval()
    if _runs(own, size):
        return size
    ghost = own.to("meta")  # which computes shapes alone
    largest = {
        wanted: next((side for side in range(wanted, 0, -1) if _runs(ghost, (side, side))), 0) for wanted in {*size}
    }
    sides = [largest[wanted] for wanted in size]
    if not all(sides):
        raise ValueError(f"{type(network).__name__} runs at no square size up to {max(size)} pixels.")
    return sides[0], sides[1]


def _runs(network: StagedNetwork, size: tuple[int, int]) -> bool:
    reference = next(network.parameters(), torch.empty(0))
    try:
        network.forward_features(torch.zeros(1, network.in_chans, *size).to(reference))
    except ValueError:
        return False
    return True


@torch.no_grad()
def golden_features(network: NamedNetwork, *, pooled: bool = False, heads: Heads | None = None) -> dict[str, Any]:
    """The regular features of the fixed image, as the network sees it in eval mode in float32 on the CPU.

    Args:
        network: of any floating-point type, on any device, in any mode; it is left as it is.
        pooled: whether to add what the network's poolings make of them, and the logits of the pose that a canonical one
            turns them back by. What `fc` does is fixed by its weights alone.
        heads: of a run, whose outputs are added; they are asked in float32 on the CPU.

    Raises:
        StorageError: if one is no finite number.
    """
    plain = copy.deepcopy(network).cpu().float().eval()
    size, found = _of_image(plain, pooled) if isinstance(plain, StagedNetwork) else _of_cloud(plain)
    of_heads = {} if heads is None else _of_heads(heads, found["features"])
    if not all(values.isfinite().all() for values in (*found.values(), *of_heads.values())):
        raise StorageError("features of the fixed image are no finite numbers; nothing was written. Train again.")
    golden = {"size": list(size), **{name: values.tolist() for name, values in found.items()}}
    return golden | ({"heads": {name: values.tolist() for name, values in of_heads.items()}} if of_heads else {})


def _of_cloud(plain: NamedNetwork) -> tuple[tuple[int, int], dict[str, Tensor]]:
    """The size of the fixed cloud, of no more points than the network was trained on, and what is stored of it."""
    points = CLOUD[0] if plain.preprocessing is None else min(CLOUD[0], plain.preprocessing.size[0])
    size = points, CLOUD[1]
    return size, plain.fixed_outputs(size)


def _of_image(plain: StagedNetwork, pooled: bool) -> tuple[tuple[int, int], dict[str, Tensor]]:
    """The size of the fixed image, and what is stored of it."""
    height, width = plain.preprocessing.size if plain.preprocessing else (32, 32)
    size = fitting_size(plain, (min(height, GOLDEN_SIDE), min(width, GOLDEN_SIDE)))
    found = {"features": _features(plain, size)}
    if pooled and _is_decided(plain, found["features"]):
        found["pooled"] = _pooled(plain, found["features"])
    if pooled and plain.global_pool.reads_pose:
        found["pose"] = _pose(plain, found["features"])
    return size, found


@torch.no_grad()
def check_golden(network: NamedNetwork, golden: Mapping[str, Any], name: str, heads: Heads | None = None) -> None:
    """Refuses a network in eval mode whose features of the fixed image are not the stored ones.

    ``max |f - golden| <= 1e-4 max |golden|``; for the pooled ones and the outputs of heads, if they are stored, 1e-3.

    Args:
        network: in float32 on the CPU.
        golden: as `golden_features` gave it.
        name: of the file of weights, for the sentence.
        heads: of a run; None to leave them out.

    Raises:
        StorageError: if they differ.
    """
    height, width = map(int, golden["size"])
    if not isinstance(network, StagedNetwork):
        outputs = network.fixed_outputs((height, width))
        for part in ("features", "pooled", "pose"):
            if part in golden and part in outputs:
                tolerance = GOLDEN_TOLERANCE if part == "features" else POOLED_TOLERANCE
                _compare(outputs[part], golden[part], tolerance, f"{name} gives {_WORDS[part]}")
        _check_heads(outputs["features"], golden, name, heads)
        return
    features = _features(network, (height, width))
    _compare(features, golden["features"], GOLDEN_TOLERANCE, f"{name} gives features")
    if "pooled" in golden:
        _compare(_pooled(network, features), golden["pooled"], POOLED_TOLERANCE, f"{name} gives {_WORDS['pooled']}")
    if "pose" in golden and network.global_pool.reads_pose:
        _compare(_pose(network, features), golden["pose"], POOLED_TOLERANCE, f"{name} gives {_WORDS['pose']}")
    _check_heads(features, golden, name, heads)


def _check_heads(features: Float[Tensor, " F"], golden: Mapping[str, Any], name: str, heads: Heads | None) -> None:
    """Refuses heads whose outputs for the fixed input are not the stored ones.

    Raises:
        StorageError: if they differ.
    """
    if heads is None or "heads" not in golden:
        return
    found = _of_heads(heads, features)
    if found.keys() != golden["heads"].keys():
        stored = printable(", ".join(golden["heads"]))
        raise StorageError(
            f"{name} has the heads {', '.join(found)}, and those of {stored} are stored. Fetch it again."
        )
    for head, values in found.items():
        _compare(values, golden["heads"][head], POOLED_TOLERANCE, f"{name} gives outputs of the head {head}")


_WORDS = {"features": "features", "pooled": "pooled features", "pose": "logits of the pose"}


def _compare(found: Float[Tensor, " F"], golden: Sequence[float], tolerance: float, subject: str) -> None:
    stored = torch.tensor(golden, dtype=torch.float32)
    if found.shape != stored.shape:
        raise StorageError(f"{subject} of length {len(found)}, and {len(stored)} are stored with it. Fetch it again.")
    distance, scale = float((found - stored).abs().max()), float(stored.abs().max())
    # Not `distance > ...`: NaN is no match either.
    if not distance <= tolerance * scale:
        raise StorageError(
            f"{subject} that differ from those stored with it by {distance:.2g}, more than {tolerance:g} of their "
            f"largest, {scale:.2g}: the config was changed, or this version of PyTorch or this processor computes "
            "otherwise. Fetch it again, or try another version of PyTorch."
        )


def _features(network: StagedNetwork, size: tuple[int, int]) -> Float[Tensor, " F"]:
    images = fixed_image(network.in_chans, size)
    if network.preprocessing is not None:
        images = network.preprocessing.normalise(images)
    maps: Tensor = network.forward_features(images)
    return maps.mean((-2, -1))[0]


def _pooled(network: StagedNetwork, features: Float[Tensor, " F"]) -> Float[Tensor, " P"]:
    """What `global_pool` makes of features, and then what `group_pool` does, which stands behind some of its modes."""
    maps = features[None, :, None, None]
    pooled = network.global_pool(maps).flatten(1)  # which may leave maps
    return torch.cat([pooled, network.global_pool.fibre(features[None])], dim=1)[0]


def _pose(network: StagedNetwork, features: Float[Tensor, " F"]) -> Float[Tensor, " G"]:
    """The logits of the pose: of other weights too, the likeliest pose of the fixed image may be the same."""
    logits: Tensor = network.global_pool.pose(features[None])
    return logits[0]


def _of_heads(heads: Heads, features: Float[Tensor, " F"]) -> dict[str, Tensor]:
    return {name: values.detach().flatten().cpu().float() for name, values in heads(features[None]).items()}


def _is_decided(network: StagedNetwork, features: Float[Tensor, " F"]) -> bool:
    """Whether another processor finds the same pose of the fixed image too: its logits are no tie."""
    pool = network.global_pool
    if pool.mode != "canonical" or pool.group.order == 1:
        return True
    logits: Tensor = pool.pose(features[None])[0]
    first, second = logits.topk(2).values
    return bool(first - second > DECIDED * logits.abs().max())
