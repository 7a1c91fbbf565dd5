"""What the output of every module of a network means, found while it runs: declared, or guessed to label a report.

A module that declares its field (see `eqmodels.layers.declared`) is believed here. Of others, of foreign networks, a
guess is made, by this rule for every module as it is called (`guessed_field` is its code):

* the image is scalars: a motion moves its pixels and leaves its channels;
* a module that declares a field for what the module before it put out has that one;
* any other module with an attribute `group` puts out regular fields of that group;
* a container without a group means what the module that ran last inside it does;
* a layer without a group leaves scalars scalars; it passes other fields on if it has no parameters and keeps the number
  of channels (``ReLU``, pooling, dropout); of what any other layer without a group makes of regular fields nothing is
  known, and it is left out, until a module with a group speaks.

`equivariance_report` labels its rows so; nothing is asserted by a guess.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.adapted import Canonical, Orbit, Upright
from eqmodels.backbones.escnn_modules import EscnnStage
from eqmodels.fields import Field, Regular, Scalars
from eqmodels.groups import PlanarGroup
from eqmodels.layers import FieldBatchNorm2d, output_field
from eqmodels.layers.declared import fixed_fields

__all__ = ["OUTPUT", "Visit", "guessed_field", "watch"]

OUTPUT = "output"
"""The name of the network's own output among its layers."""

OPAQUE = (FieldBatchNorm2d, EscnnStage, Canonical, Orbit, Upright)
"""Modules seen from outside only: inside, the group axis is folded into the width, or the channels are field-major, or
the images are copies of others."""

Visit = Callable[[str, Tensor, Field], None]
"""What is called with a layer's name, its output (which the next layer may overwrite) and its field."""


def guessed_field(
    module: nn.Module, entered: Field | None, before: Field | None, inputs: tuple[object, ...], output: Tensor
) -> Field | None:
    """The field of a module's output by the rule above; None if nothing is known of it.

    Args:
        module: the module that was called.
        entered: the field of what was computed last when it was called.
        before: the field of what was computed last when it returned: of a container, inside it.
        inputs: its positional arguments.
        output: what it returned, ``(B, C)`` or ``(B, C, H, W)``.
    """
    channels = output.shape[1]
    declared = _declared_field(module, entered)
    if declared is not None and declared.channels == channels:
        return declared
    group = getattr(module, "group", None)
    container = next(module.children(), None) is not None
    if isinstance(group, PlanarGroup) and not (container and hasattr(module, "out_field")):
        return Regular(group, channels // group.order) if channels % group.order == 0 else None
    if before is None or (container and before.channels == channels):
        return before
    if before.group is None:
        return Scalars(channels)
    keeps = any(isinstance(value, Tensor) and value.dim() > 1 and value.shape[1] == channels for value in inputs[:1])
    stateless = next(module.parameters(), None) is None
    return before if keeps and stateless and before.channels == channels else None


def _declared_field(module: nn.Module, before: Field | None) -> Field | None:
    fixed = fixed_fields(module)[1]
    if fixed is not None or before is None:
        return fixed
    try:
        return output_field(module, before)
    except ValueError:
        return None


def watch(model: nn.Module, images: Float[Tensor, "B C H W"], visit: Visit) -> None:
    """Runs a network and visits the output of every module whose field is known, in the order of the calls.

    The second call of one module is named ``name#2``, and so on; the network itself is ``output``. Identities are left
    out. The hooks are gone when this returns.
    """
    watcher = _Watcher(visit, images)
    handles = []
    for name, module in _layers(model):
        handles.append(module.register_forward_pre_hook(watcher.before))
        handles.append(module.register_forward_hook(partial(watcher.after, name)))
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()


class _Watcher:
    """The state of one run: the field of what was computed last, and how often each module was called."""

    def __init__(self, visit: Visit, images: Float[Tensor, "B C H W"]) -> None:
        self.visit, self.batch = visit, len(images)
        self.current: Field | None = Scalars(images.shape[1])
        self.calls: Counter[str] = Counter()
        self._entered: list[Field | None] = []

    def before(self, *_: object) -> None:
        """The hook of every module that is called."""
        self._entered.append(self.current)

    def after(self, name: str, module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        """The forward hook of the module with this name."""
        entered = self._entered.pop()
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return
        if output.dim() not in (2, 4) or len(output) != self.batch:
            return
        self.current = guessed_field(module, entered, self.current, inputs, output)
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
