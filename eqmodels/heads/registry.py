"""Prediction heads by name, from the features of a backbone to the logits of a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from eqmodels.arguments import check_arguments
from eqmodels.fields import Field
from eqmodels.options import check_options
from eqmodels.registry import Registry

__all__ = ["HEADS", "create_head", "list_heads", "register_head"]

_H = TypeVar("_H", bound=Callable[..., nn.Module])

HEADS: Registry[Callable[..., nn.Module]] = Registry("head")
"""Classes and functions ``(in_field, label_field, **options)`` that build a head, by name."""


def register_head(*names: str) -> Callable[[_H], _H]:
    """Registers a class or a function that builds a head, as a decorator that gives it back unchanged.

    It is called as ``build(in_field, label_field, **options)`` and gives a module ``(B, in_field.channels) -> (B,
    label_field.channels)`` with the attributes `in_field` and `out_field`: `label_field` if its logits change with the
    image as the labels do, None if they are learned anew for every pose. Options have defaults.

    Args:
        *names: lower-case words.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a name is none, or something else has it.

    Example:
        >>> from eqmodels.heads import HEADS, LinearHead, register_head
        >>> register_head("doctest_linear")(LinearHead) is HEADS.find("doctest_linear")
        True
    """
    check_arguments(register_head, locals())
    return HEADS.register(*names)


def list_heads(pattern: str = "*") -> list[str]:
    """The names of the heads that match a shell pattern, sorted.

    Raises:
        TypeError: if an argument is of another type.

    Example:
        >>> list_heads("[elm]*")
        ['equivariant', 'linear', 'mlp']
    """
    check_arguments(list_heads, locals())
    return HEADS.names(pattern)


def create_head(name: str, in_field: Field, label_field: Field, **options: Any) -> nn.Module:  # noqa: ANN401
    """A prediction head ``(B, in_field.channels) -> (B, label_field.channels)``, with random weights.

    Args:
        name: of the head, one of `list_heads`.
        in_field: of the features, for instance an encoder's regular ones.
        label_field: how the labels change when the image moves: one regular field of a group task's group (or of its
            elements in it), one vector for an angle, scalars of any other task.
        **options: of the head.

    Raises:
        ValueError: if the name is unknown, an option breaks its rule, or the head does not fit features and labels.
        TypeError: if the head has no such option, or its value is of another type.

    Example:
        >>> from eqmodels.fields import Regular, Scalars
        >>> create_head("equivariant", Regular("c4", 8), Regular("c4", 1), hidden=16).out_field
        Regular(group=PlanarGroup(rotations=4, reflections=False), count=1, elements=None)
        >>> create_head("linear", Regular("c4", 8), Scalars(24))
        LinearHead(in_features=32, out_features=24, bias=True)
    """
    check_arguments(create_head, {"in_field": in_field, "label_field": label_field})
    build = HEADS.find(name)
    check_options(build, options, subject=f"head {name!r}", without=("in_field", "label_field"))
    return build(in_field, label_field, **options)
