"""Networks beside the one that learns, which no optimiser trains: one that stays, and one that moves after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from eqmodels.arguments import check_arguments

__all__ = ["Frozen", "Moving"]


class Frozen(nn.Module):
    """A network that never learns: in eval mode for ever, without gradients, and in no checkpoint and no file.

    It has no parameters, children or state of its own for optimisers, replicas and state dicts to find, and still goes
    where its parent goes (``.to(device)``). As a run that goes on builds it anew, it must be the same every time; one
    that moves is `Moving`.

    Args:
        module: the network; its parameters are frozen.

    Raises:
        TypeError: if an argument is of another type.
    """

    def __init__(self, module: nn.Module) -> None:
        check_arguments(Frozen, locals())
        super().__init__()
        # In a tuple, where nothing looks for children.
        self._held = (module.eval().requires_grad_(False),)

    @property
    def module(self) -> nn.Module:
        """The network itself."""
        return self._held[0]

    @torch.no_grad()
    def forward(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """What the network makes of its arguments."""
        return self.module(*arguments, **options)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Frozen:
        self.module._apply(fn, recurse)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


class Moving(Frozen):
    """A teacher that moves after the network that learns: as `Frozen`, but its state is in the checkpoints.

    So a run that goes on has the teacher of where it stopped. A file of weights is of what learned, and does not have
    it.

    Args:
        module: the teacher, such as a copy of the backbone; its parameters are frozen.

    Example::

        self.teacher = Moving(copy.deepcopy(backbone))  # in __init__


        def after_step(self, network):
            self.teacher.follow(network.backbone, decay=0.99)

    Raises:
        TypeError: if an argument is of another type.

    Source: Tarvainen and Valpola 2017, arXiv 1703.01780 (the mean teacher).
    """

    @torch.no_grad()
    def follow(self, network: nn.Module, decay: float) -> None:
        """One step of the exponential mean: ``decay * teacher + (1 - decay) * network``; buffers are the network's.

        Args:
            network: of the same parameters and buffers as the teacher.
            decay: how much of the teacher stays, from 0 to 1.

        Raises:
            ValueError: if the decay is out of range, or the network has other parameters or buffers.
        """
        if not 0 <= decay <= 1:
            raise ValueError(f"decay must lie between 0 and 1; got {decay}. Pass 0.99.")
        own, others = dict(self.module.named_parameters()), dict(network.named_parameters())
        buffers, theirs = dict(self.module.named_buffers()), dict(network.named_buffers())
        if odd := sorted((own.keys() ^ others.keys()) | (buffers.keys() ^ theirs.keys())):
            raise ValueError(
                f"a teacher follows a network of its own parameters and buffers; got one that differs in {odd[0]!r}. "
                "Make the teacher a copy.deepcopy of it."
            )
        for name, parameter in own.items():
            parameter.lerp_(others[name].detach(), 1 - decay)
        for name, buffer in buffers.items():
            buffer.copy_(theirs[name])
