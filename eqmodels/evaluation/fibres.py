"""How the output of every module of a network transforms when the image moves, found while the network runs.

The rule, for every module as it is called (`output_fibre` is its code):

* the image carries no fibre: a motion moves its pixels and leaves its channels;
* `GroupPool` takes the fibre away, and so does `GlobalPool` for the invariant or canonical part of its features;
* any other module with an attribute `group` puts out regular fields of that group (`Restrict`: of the subgroup);
* a container without a group, and a `Backbone`, transform like the module that ran last inside them;
* a layer without a group leaves channels without a fibre so; it passes regular fields on if it has no parameters and
  keeps the number of channels (``ReLU``, pooling, dropout); of what any other layer without a group makes of regular
  fields nothing is known, and it is left out, until a module with a group speaks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones import Backbone
from eqmodels.backbones.escnn_modules import EscnnStage
from eqmodels.groups import PlanarGroup
from eqmodels.layers import FieldBatchNorm2d, GlobalPool, GroupPool

__all__ = ["Fibre", "Visit", "counterpart", "output_fibre", "watch"]

OUTPUT = "output"
"""The name of the network's own output among its layers."""

OPAQUE = (FieldBatchNorm2d, EscnnStage)
"""Modules seen from outside only: inside, the group axis is folded into the width, or the channels are field-major."""


@dataclass(frozen=True)
class Fibre:
    """What the channel axis means: `plain` channels without a fibre, then regular fields of `group` (None: no more)."""

    group: PlanarGroup | None = None
    plain: int = 0

    def act(
        self, group: PlanarGroup, g: int, features: Float[Tensor, "B C *space"], *, circular: bool = False
    ) -> Float[Tensor, "B C *moved"]:
        """The representation: moves the pixels of maps ``(B, C, H, W)`` and permutes the channels of maps and vectors.

        An element that is not one of the fibre's own group moves the pixels alone.
        """
        h = counterpart(self.group, group, g)
        if self.group is not None and h is not None:
            plain, regular = features[:, : self.plain], features[:, self.plain :]
            features = torch.cat([plain, self.group.permute_fibre(h, regular)], dim=1)
        return group.act(g, features, circular=circular) if features.dim() == 4 else features

    def invariants(self, features: Float[Tensor, "B C *space"]) -> Float[Tensor, "B F"]:
        """Features that do not change when the image moves: the mean over space, then the maximum over the fibre."""
        vectors = features.flatten(2).mean(2) if features.dim() > 2 else features
        if self.group is None:
            return vectors
        pooled: Tensor = GroupPool(self.group)(vectors[:, self.plain :])
        return torch.cat([vectors[:, : self.plain], pooled], dim=1)


Visit = Callable[[str, Tensor, Fibre], None]
"""What is called with a layer's name, its output (which the next layer may overwrite) and its fibre."""


@lru_cache(maxsize=1024)
def counterpart(fibre_group: PlanarGroup | None, group: PlanarGroup, g: int) -> int | None:
    """The element of `fibre_group` that moves images as the element `g` of `group` does; None if there is none.

    It is how the channels of a fibre are permuted when an image moves.

    Example:
        >>> c8, c4 = PlanarGroup(8), PlanarGroup(4)
        >>> counterpart(c8, c4, 1), counterpart(c4, c8, 1)
        (2, None)
    """
    if fibre_group is None:
        return None
    reflected, rotation = divmod(g, group.rotations)
    position, rest = divmod(rotation * fibre_group.rotations, group.rotations)
    if rest or (reflected and not fibre_group.reflections):
        return None
    return reflected * fibre_group.rotations + position


def output_fibre(module: nn.Module, before: Fibre | None, inputs: tuple[object, ...], output: Tensor) -> Fibre | None:
    """The fibre of a module's output by the rule above; None if nothing is known of it.

    Args:
        module: the module that was called.
        before: the fibre of the output of the module that ran before (for a container: last inside it).
        inputs: its positional arguments.
        output: what it returned, ``(B, C)`` or ``(B, C, H, W)``.
    """
    if isinstance(module, GroupPool):
        return Fibre()
    channels = output.shape[1]
    if isinstance(module, GlobalPool):
        if module.mode == "invariant" or module.is_canonical:
            return Fibre()
        # F invariant features, then |G| F regular ones.
        plain = channels // (module.group.order + 1) if module.mode == "invariant+regular" else 0
        return Fibre(module.group, plain)
    group = getattr(module, "group", None)
    if isinstance(group, PlanarGroup) and not isinstance(module, Backbone):
        return Fibre(group) if channels % group.order == 0 else None
    container = next(module.children(), None) is not None
    if container or before is None or before.group is None:
        return before
    keeps = any(isinstance(value, Tensor) and value.dim() > 1 and value.shape[1] == channels for value in inputs[:1])
    stateless = next(module.parameters(), None) is None
    return before if keeps and stateless else None


def watch(model: nn.Module, images: Float[Tensor, "B C H W"], visit: Visit) -> None:
    """Runs a network and visits the output of every module whose fibre is known, in the order of the calls.

    The second call of one module is named ``name#2``, and so on; the network itself is ``output``. Identities are left
    out. The hooks are gone when this returns.
    """
    watcher = _Watcher(visit, len(images))
    handles = [module.register_forward_hook(partial(watcher.after, name)) for name, module in _layers(model)]
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()


class _Watcher:
    """The state of one run: the fibre of what was computed last, and how often each module was called."""

    def __init__(self, visit: Visit, batch: int) -> None:
        self.visit, self.batch = visit, batch
        self.current: Fibre | None = Fibre()
        self.calls: Counter[str] = Counter()

    def after(self, name: str, module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        """The forward hook of the module with this name."""
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return
        if output.dim() not in (2, 4) or len(output) != self.batch:
            return
        self.current = output_fibre(module, self.current, inputs, output)
        self.calls[name] += 1
        if self.current is not None:
            count = self.calls[name]
            self.visit(name if count == 1 else f"{name}#{count}", output, self.current)


def _layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    inside = {
        id(part)
        for whole in model.modules()
        if isinstance(whole, OPAQUE)
        for part in whole.modules()
        if part is not whole
    }
    for name, module in model.named_modules():
        if id(module) not in inside and not isinstance(module, nn.Identity):
            yield name or OUTPUT, module
