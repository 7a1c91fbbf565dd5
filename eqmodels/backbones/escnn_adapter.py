"""A module of plain tensors inside somebody's network of escnn."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from eqmodels.backbones.escnn_modules import Escnn, import_escnn
from eqmodels.errors import shown
from eqmodels.fields import Field, Regular, Scalars, Sum
from eqmodels.groups import PlanarGroup
from eqmodels.layers.declared import fixed_fields, output_field

__all__ = ["as_escnn"]

# escnn is untyped; the alias says what is given.
EquivariantModule: TypeAlias = Any


def as_escnn(
    module: nn.Module,
    *,
    in_field: Field | None = None,
    out_field: Field | None = None,
    group: PlanarGroup | str | None = None,
) -> EquivariantModule:
    """An encoder, a stage or a layer as an `EquivariantModule` of escnn, to stand in a `SequentialModule` of it.

    It takes and gives `GeometricTensor` s of the types that the fields declare, their channels in escnn's order; what
    the module gives as vectors ``(B, C)`` becomes maps of one pixel. The module itself is its child `module`, not a
    copy: it is trained, moved and saved with the network around it.

    Args:
        module: of plain tensors; its channels are this package's.
        in_field: of its input; None for what it declares, or the first layer of it does.
        out_field: of its output; None for what it declares, see `eqmodels.layers.output_field`.
        group: that acts; None for that of the fields, or for the module's attribute `group` where all are scalars.

    Raises:
        ModuleNotFoundError: if escnn is not installed.
        TypeError: if `module` is no module, or an argument is of another type.
        ValueError: if a field or the group is not known, fields are of several groups, or of a part of one.

    Source: Cesa, Lang and Weiler, ICLR 2022.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be a torch.nn.Module; got {shown(module)}. Pass the layer itself.")
    into = _field("in_field", _declared(module) if in_field is None else in_field)
    out = _field("out_field", output_field(module, into) if out_field is None else out_field)
    acting = _group(module, group, (into, out))
    escnn = import_escnn()
    return _wrapper(escnn)(module, (into, _type_of(escnn, acting, into)), (out, _type_of(escnn, acting, out)))


def _declared(module: nn.Module) -> Field | None:
    """The field that a module takes, or the first in a row of modules."""
    while (field := fixed_fields(module)[0]) is None and isinstance(module, nn.Sequential) and len(module):
        module = module[0]
    return field


def _field(name: str, field: object) -> Field:
    if field is None:
        raise ValueError(f"{name} must be given where the module does not declare it. Pass, say, {name}=Scalars(3).")
    if not isinstance(field, Field):
        raise TypeError(f"{name} must be a field; got {shown(field)}. Pass, say, Scalars(3).")
    for part in field.parts if isinstance(field, Sum) else (field,):
        if not isinstance(part, Scalars) and not (isinstance(part, Regular) and part.elements is None):
            raise ValueError(f"{name} must be scalars and regular fields of a whole group; got {field}. Restrict it.")
    return field


def _group(module: nn.Module, group: PlanarGroup | str | None, fields: tuple[Field, Field]) -> PlanarGroup:
    """The group that acts on both fields."""
    if group is not None and not isinstance(group, PlanarGroup | str):
        raise TypeError(f"group must be a PlanarGroup or its name; got {shown(group)}. Pass, say, 'c4'.")
    acting = {field.group for field in fields if isinstance(field.group, PlanarGroup)}
    given = PlanarGroup.parse(group) if isinstance(group, str) else group
    found: set[PlanarGroup | None] = {*acting} or {given if given is not None else getattr(module, "group", None)}
    if len(found) != 1 or None in found or (given is not None and given not in found):
        names = ", ".join(sorted(str(one) for one in found))
        raise ValueError(
            f"group must be one, that of both fields; got {names}. Pass group='c4', or fields of one group."
        )
    (only,) = found
    assert isinstance(only, PlanarGroup)
    return only


def _type_of(escnn: Escnn, group: PlanarGroup, field: Field) -> Any:  # noqa: ANN401
    """The type of a field in escnn."""
    space = escnn.space(group)
    representations = [
        representation
        for part in (field.parts if isinstance(field, Sum) else (field,))
        for representation in (
            part.count * [space.regular_repr] if isinstance(part, Regular) else part.channels * [space.trivial_repr]
        )
    ]
    return escnn.nn.FieldType(space, representations)


def _wrapper(escnn: Escnn) -> type:
    """The class, a subclass of one that is imported on demand."""

    class PlainModule(escnn.nn.EquivariantModule):  # type: ignore[name-defined, misc]
        def __init__(self, module: nn.Module, into: tuple[Field, Any], out: tuple[Field, Any]) -> None:
            super().__init__()
            self.module = module
            (self.in_field, self.in_type), (self.out_field, self.out_type) = into, out

        def forward(self, input: Any) -> Any:  # noqa: ANN401
            assert input.type == self.in_type
            given: Tensor = self.out_field.to_escnn(self.module(self.in_field.from_escnn(input.tensor)))
            return self.out_type(given if given.dim() == 4 else given[..., None, None])

        def evaluate_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
            with torch.no_grad():
                reference = next(iter((*self.module.parameters(), *self.module.buffers())), torch.zeros(()))
                images = torch.zeros(input_shape, dtype=reference.dtype, device=reference.device)
                training = self.module.training
                try:
                    return tuple(self.eval()(self.in_type(images)).tensor.shape)
                finally:
                    self.train(training)

    return PlainModule
