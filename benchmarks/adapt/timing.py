"""Times the ways to adapt a network, in one interleaved run: ``python -m benchmarks.adapt.timing [--rounds 11]``.

Seconds of the processor for a batch of 16 stamps at 96 pixels, on one thread; the ratio is that to the base network as
it is. Copies are asked about one after the other, which is faster on a processor, if nothing else is said. Pictures are
turned by quarters, so that poses differ in a batch. Networks with random weights cost what trained ones cost.

Writes ``benchmarks/results/adapt/time.json`` and ``.md``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.adapt import peer
from benchmarks.adapt.measure import BASE, RESULTS
from benchmarks.adapt.ways import BASE as NETWORK
from benchmarks.adapt.ways import FRESH, MODES, SIDE, ZOO
from benchmarks.distil.sets import SETS
from benchmarks.speed._harness import Timings, compare
from eqmodels import PlanarGroup, load
from eqmodels.adapt import canonicalise, original, posing, symmetrise
from eqmodels.export import to_plain
from eqmodels.objectives import create_teacher
from eqmodels.transforms import Preprocessing

__all__ = ["networks"]

PICTURES = 16


def networks() -> dict[str, Callable[[Tensor], object]]:
    """From normalised images to features, by the names of the ways."""
    base = original(NETWORK).network
    scores = create_teacher(NETWORK).network.network
    found: dict[str, Callable[[Tensor], object]] = {BASE: base}
    for group in ("c4", "d4"):
        zoo, options = ZOO.format(group=group), {"size": SIDE, "at_a_time": 1}
        found[f"symmetrised, {group}"] = symmetrise(base, group, **options)  # type: ignore[arg-type]
        every = PlanarGroup.parse(group).order
        found[f"symmetrised, {group}, all copies at once"] = symmetrise(base, group, size=SIDE, at_a_time=every)
        for mode in MODES:
            name = f"canonicalised, {group}, pose of the zoo, {mode}"
            found[name] = canonicalise(base, zoo, mode=mode, **options)  # type: ignore[arg-type]
        by_energy = canonicalise(scores, "energy", group=group, **options)  # type: ignore[arg-type]
        found[f"canonicalised, {group}, by energy"] = by_energy
        found[f"distilled, {group}"] = load(zoo)
        found[f"distilled, {group}, exported"] = to_plain(load(zoo), size=SIDE, fold_batch_norm=True)
    found["canonicalised, c4, pose learned"] = canonicalise(base, posing(FRESH), size=SIDE)
    found["distilled, resnet18"] = load(ZOO.format(group="c4").removeprefix("c4_"))
    images = symmetrise(base, "c1", size=SIDE).preprocessing
    assert images is not None
    peers = {
        "its network": peer.with_own_network(SIDE),
        "optimised": peer.without_equivariant_network(SIDE),
        "pose of our zoo": peer.with_pose_of(ZOO.format(group="c4"), images, SIDE),
    }
    for name, canonicaliser in peers.items():
        found[f"equiadapt, c4, {name}"] = nn.Sequential(canonicaliser.eval(), _ChannelsLast(), base)
    return found


class _ChannelsLast(nn.Module):
    """The memory format of the images, which the peer's turns do not keep, so that the base is as fast behind it."""

    def forward(self, images: Tensor) -> Tensor:
        """The same."""
        return images.contiguous(memory_format=torch.channels_last)


def pictures() -> Tensor:
    """Stamps, each turned by another number of quarters, as the base network takes them."""
    data, _ = SETS["stamps"]()
    images = data.pixels(torch.linspace(0, len(data) - 1, PICTURES).long())
    turned = torch.stack([image.rot90(number, (-2, -1)) for number, image in enumerate(images)])
    half = (0.5,) * 3  # what timm says of EfficientNet-Lite0
    return Preprocessing(half, half, (SIDE, SIDE)).normalise(turned).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def main() -> None:
    """Times and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images = pictures()
    contenders = {name: partial(network, images) for name, network in networks().items()}
    setting = f"{PICTURES} pictures of {SIDE} pixels"
    rows = compare(setting, contenders, reference=BASE, rounds=arguments.rounds, clock=time.process_time)
    table = Timings.of(
        "The time of adapted networks",
        unit="seconds of the processor",
        reference="the base network",
        module="benchmarks.adapt.timing",
        rounds=arguments.rounds,
        rows=rows,
    )
    table.save("time", RESULTS)


if __name__ == "__main__":
    main()
