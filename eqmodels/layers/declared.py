"""What the channels of a module's output mean, given what those of its input mean.

A layer declares it by a method ``output_field(field)``, or, if its widths are fixed, by the attributes `in_field` and
`out_field`. A ``nn.Sequential`` and the stock modules whose rule is known need no declaration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from torch import nn

from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.fields import Field, Regular, Scalars, Sum
from eqmodels.groups import Group, PlanarGroup

__all__ = ["check_permuted", "check_tied", "expect_field", "fixed_fields", "output_field", "regular_field"]


def output_field(module: nn.Module, field: Field) -> Field:
    """The field of a module's output for an input of the given field.

    In this order: the module's own method ``output_field``; its attributes `in_field` (without it, scalars of its
    `in_chans`) and `out_field`; the children of a ``nn.Sequential``, one after the other; the rule of a stock module:

    * what acts on each value alone (``ReLU``, ``Dropout``, ...), pools or pads space keeps every field whose elements
      permute channels; so does ``Flatten``, of maps of one pixel;
    * what mixes channels (``Linear``, a 1 x 1 ``Conv2d``) or scales each by itself (``BatchNorm2d``) takes scalars, or
      a field of the trivial group, of which nothing is claimed that it could break.

    Whether a pooling meets the pixel grid symmetrically depends on the size: that is for a measurement to say.

    Args:
        module: any module.
        field: of its input, an image or features.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the module declares nothing, or takes another field.

    Example:
        >>> from eqmodels.layers import GroupPool, SteerableConv2d
        >>> network = nn.Sequential(SteerableConv2d("c4", 3, 8, 3, lifting=True), nn.ReLU(), GroupPool("c4"))
        >>> str(output_field(network, Scalars(3)))
        '8 x scalar'
    """
    check_arguments(output_field, locals())
    method = getattr(type(module), "output_field", None)
    if method is not None:
        return cast("Field", method(module, field))
    in_field, out_field = fixed_fields(module)
    if out_field is not None:
        if in_field is not None:
            expect_field(module, in_field, field)
        return out_field
    if type(module).forward is nn.Sequential.forward:
        for child in module.children():
            field = output_field(child, field)
        return field
    rule = _RULES.get(type(module))
    if rule is None:
        raise _undeclared(module)
    return rule(module, field)


def fixed_fields(module: nn.Module) -> tuple[Field | None, Field | None]:
    """The attributes `in_field` and `out_field` of a module, None where it has none.

    An encoder, which has `in_chans` instead of an `in_field`, takes images: scalars.
    """
    found = [value if isinstance(value := getattr(module, name, None), Field) else None for name in _ATTRIBUTES]
    in_chans = getattr(module, "in_chans", None)
    if found[0] is None and found[1] is not None and isinstance(in_chans, int):
        found[0] = Scalars(in_chans)
    return found[0], found[1]


_ATTRIBUTES = ("in_field", "out_field")


def expect_field(module: nn.Module, expected: Field, field: Field) -> None:
    """Refuses an input field that is not the one that a module takes.

    Raises:
        ValueError: if it is another. Every field of as many channels is one of the trivial group.
    """
    trivial = isinstance(expected, Regular) and expected.order == 1 and expected.channels == field.channels
    if field != expected and not trivial:
        raise ValueError(f"{_shown(module)} takes the field {expected}; got {field}. {_way_out(expected.group, field)}")


def regular_field(module: nn.Module, group: PlanarGroup, field: Field) -> Regular:
    """The input field itself, if it is of regular fields of the whole group, as a module of any width takes it.

    Raises:
        ValueError: if it is another. Every field is regular under the trivial group.
    """
    if isinstance(field, Regular) and field.group == group and field.elements is None:
        return field
    if group.order == 1:
        return Regular(group, field.channels)
    raise ValueError(f"{_shown(module)} takes regular fields of {group}; got {field}. {_way_out(group, field)}")


def check_permuted(module: nn.Module, field: Field) -> Field:
    """The input field itself, if the elements of its group permute channels, which a nonlinearity lets pass.

    Raises:
        ValueError: if they may mix them.
    """
    parts = field.parts if isinstance(field, Sum) else (field,)
    if not all(isinstance(part, (Scalars, Regular)) for part in parts):
        raise ValueError(
            f"{_shown(module)} treats channels one by one and keeps a field only if its elements permute them; got "
            f"{field}. Use a nonlinearity made for it, or declare the output in a module of your own."
        )
    return field


def check_tied(fields: int, tied: int) -> int:
    """The number of fields that are tied itself, if so many fields are of whole ties.

    Raises:
        TypeError: if `tied` is not an integer.
        ValueError: if it is below 1, or `fields` is no multiple of it.
    """
    if fields % check_count("tied", tied):
        more = tied * (fields // tied + 1)
        raise ValueError(f"tied must divide the {fields} fields; got {tied}. Use 1, or {more} fields.")
    return tied


def _way_out(expected: Group | None, field: Field) -> str:
    group = field.group
    if not isinstance(group, PlanarGroup | None) or not isinstance(expected, PlanarGroup | None):
        return "Images and points have no layers in common."
    if expected is not None and group is not None and expected != group and group.contains(expected):
        return f"Put Restrict({group.name!r}, {expected.name!r}) before it."
    if expected is None and group is not None:
        return f"Put GroupPool({group.name!r}) before it."
    if expected is not None and group is None:
        return "Only a lifting layer takes scalars."
    return "Build it for this field."


def _undeclared(module: nn.Module) -> ValueError:
    if hasattr(module, "out_field"):
        return ValueError(
            f"{_shown(module)} declares no field of its output (out_field is {module.out_field}), as of scores that "
            "are a learned function of the pose. Read its features instead, or pass out_field= to assert_equivariant."
        )
    return ValueError(
        f"{_shown(module)} declares no field, so that nothing is known of what its channels mean. Give it the "
        "attribute out_field (and in_field), or a method output_field(field), see eqmodels.fields; assert_equivariant "
        "takes out_field=."
    )


def _shown(module: nn.Module) -> str:
    """The class, with its arguments if it has no children."""
    return type(module).__name__ if next(module.children(), None) is not None else str(module)


# The rules of stock modules, by their exact type: a subclass may do anything.


def _keeps(module: nn.Module, field: Field) -> Field:
    return check_permuted(module, field)


def _flattens(module: nn.Module, field: Field) -> Field:
    flatten = cast("nn.Flatten", module)
    if (flatten.start_dim, flatten.end_dim) != (1, -1):
        raise _undeclared(module)
    return field


def _plain(module: nn.Module, field: Field, expected: Any, channels: Any) -> Field:  # noqa: ANN401 (attributes)
    """A field whose channels may be mixed at will, with another number of channels.

    Args:
        module: what mixes them.
        field: of its input.
        expected: channels that the module takes; None for any.
        channels: that it puts out.

    Raises:
        ValueError: if an element moves the channels of the field, or the module takes another number of them.
    """
    if expected is not None and expected != field.channels:
        raise ValueError(
            f"{_shown(module)} takes {expected} channels; got the field {field} of {field.channels}. Build it for "
            f"{field.channels}; Flatten keeps their number only for maps of one pixel."
        )
    if field.group is None:
        return Scalars(channels)
    if isinstance(field, Regular) and field.order == 1:
        return Regular(field.group, channels, field.elements)
    raise ValueError(
        f"{_shown(module)} mixes or scales channels regardless of the group, and declares no field for {field}. Use a "
        f"layer of {field.group}, or pool the fibre before it (GroupPool)."
    )


def _mixes(module: nn.Module, field: Field) -> Field:
    return _plain(module, field, module.in_features, module.out_features)


def _convolves(module: nn.Module, field: Field) -> Field:
    mixed = _plain(module, field, module.in_channels, module.out_channels)
    if field.group is None and module.kernel_size != (1, 1):
        raise ValueError(
            f"{_shown(module)} reads a neighbourhood in one direction, and declares no field. Use SteerableConv2d with "
            "lifting=True, or kernel_size=1."
        )
    return mixed


def _scales(module: nn.Module, field: Field) -> Field:
    expected = next((value for name in _WIDTHS if (value := getattr(module, name, None)) is not None), None)
    return _plain(module, field, expected, field.channels)


def _scales_vectors(module: nn.Module, field: Field) -> Field:
    return _plain(module, field, module.normalized_shape[-1], field.channels)  # type: ignore[index]


def _activates(module: nn.Module, field: Field) -> Field:
    return _keeps(module, field) if module.num_parameters == 1 else _plain(module, field, None, field.channels)


_WIDTHS = ("num_features", "num_channels")

_KEEPING = (
    *(nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid),
    *(nn.Tanh, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Hardshrink, nn.Softshrink, nn.Tanhshrink, nn.Softplus),
    *(nn.Softsign, nn.LogSigmoid, nn.Threshold, nn.Dropout, nn.Dropout2d, nn.AlphaDropout),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample),
    *(nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d),
)

_RULES: dict[type[nn.Module], Callable[[nn.Module, Field], Field]] = {
    **dict.fromkeys(_KEEPING, _keeps),
    nn.Flatten: _flattens,
    nn.PReLU: _activates,
    nn.Linear: _mixes,
    nn.Conv2d: _convolves,
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm, nn.InstanceNorm2d, nn.GroupNorm), _scales),
    nn.LayerNorm: _scales_vectors,
}
