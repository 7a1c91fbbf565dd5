"""The calls of layers that declare their fields, as a network makes them: what is judged inside of it.

Nothing is guessed. A layer of fixed width has its fields; of another one the field of the input must be known, because
the very tensor is the network's input or what a layer with a known field put out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones.adapted import Canonical, Orbit, Upright
from eqmodels.fields import Field
from eqmodels.layers import output_field
from eqmodels.layers.declared import fixed_fields

__all__ = ["Call", "declared_calls"]


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        in_field: of its input; None if it is not known.
        out_field: of its output.
        inputs: a copy of its input; None if it is no tensor that a motion of the image could move.
        output: a copy of its output.
    """

    in_field: Field | None
    out_field: Field
    inputs: Tensor | None
    output: Tensor


def declared_calls(
    model: nn.Module, images: Float[Tensor, "B C H W"], in_field: Field
) -> tuple[object, dict[str, Call]]:
    """Runs a network; its output as it is, and the calls of the layers inside whose fields are known, in their order.

    The second call of one layer is named ``name#2``, and so on. Identities and containers are left out, and so are
    calls on something else than one tensor an image. The hooks are gone when this returns.

    Args:
        model: the network.
        images: what it is called with.
        in_field: of the images.

    Raises:
        AssertionError: if a layer's input or output has another number of channels than the field that it declares.
    """
    recorder = _Recorder(len(images))
    recorder.note(images, in_field)
    handles = []
    # Inside of these the images are copies of others, whose motions are another's.
    adapted = [part for part in model.modules() if isinstance(part, Canonical | Orbit | Upright)]
    inside = {id(part) for whole in adapted for part in whole.modules() if part is not whole}
    for name, module in model.named_modules():
        if module is not model and id(module) not in inside:
            handles.append(module.register_forward_pre_hook(recorder.before))
            handles.append(module.register_forward_hook(partial(recorder.after, name)))
    try:
        output: object = model(images)
    finally:
        for handle in handles:
            handle.remove()
    return output, recorder.calls


class _Recorder:
    """The state of one run: the tensors whose fields are known, and the inputs of the modules that are being called."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.calls: dict[str, Call] = {}
        self._counts: Counter[str] = Counter()
        self._known: dict[int, tuple[Tensor, int, Field]] = {}
        self._open: list[tuple[Tensor | None, Field | None]] = []

    def note(self, tensor: Tensor, field: Field) -> None:
        """Remembers the field of a tensor, until something writes into it."""
        self._known[id(tensor)] = (tensor, _version(tensor), field)

    def before(self, module: nn.Module, inputs: tuple[object, ...]) -> None:
        """Copies the input, which the module may overwrite."""
        tensor = inputs[0] if inputs and isinstance(inputs[0], Tensor) else None
        field, _ = fixed_fields(module)
        if field is None and tensor is not None:
            known, version, its_field = self._known.get(id(tensor), (None, 0, None))
            field = its_field if known is tensor and version == _version(tensor) else None
        movable = tensor is not None and self._is_movable(tensor) and not _is_container(module)
        self._open.append((tensor.clone() if tensor is not None and movable and field is not None else None, field))

    def after(self, name: str, module: nn.Module, _: tuple[object, ...], output: object) -> None:
        """Records the call, if the field of the output is known."""
        inputs, in_field = self._open.pop()
        out_field = _out_field(module, in_field)
        if out_field is None or not isinstance(output, Tensor):
            return
        if _is_stock(module) and output.shape[1:2] != (out_field.channels,):
            return  # A Flatten of maps of several pixels: its rule says nothing of these.
        self.note(output, out_field)
        if isinstance(module, nn.Identity) or _is_container(module) or not self._is_movable(output):
            return
        for what, tensor, field in (("input", inputs, in_field), ("output", output, out_field)):
            if tensor is not None and field is not None and tensor.shape[1] != field.channels:
                raise AssertionError(
                    f"the layer {name} ({type(module).__name__}) declares the {what} field {field} of {field.channels} "
                    f"channels; its {what} has the shape {tuple(tensor.shape)}."
                )
        self._counts[name] += 1
        count = self._counts[name]
        self.calls[name if count == 1 else f"{name}#{count}"] = Call(in_field, out_field, inputs, output.clone())

    def _is_movable(self, tensor: Tensor) -> bool:
        return tensor.is_floating_point() and tensor.dim() in (2, 4) and len(tensor) == self.batch


def _out_field(module: nn.Module, in_field: Field | None) -> Field | None:
    fixed = fixed_fields(module)[1]
    if fixed is not None or in_field is None:
        return fixed
    try:
        return output_field(module, in_field)
    except ValueError:
        return None


def _is_container(module: nn.Module) -> bool:
    """Whether it only calls its children, which are judged themselves."""
    return type(module).forward is nn.Sequential.forward


def _is_stock(module: nn.Module) -> bool:
    """Whether it declares nothing itself."""
    return fixed_fields(module)[1] is None and not hasattr(type(module), "output_field")


def _version(tensor: Tensor) -> int:
    # Tensors of inference mode do not count what is written into them.
    return 0 if tensor.is_inference() else tensor._version
