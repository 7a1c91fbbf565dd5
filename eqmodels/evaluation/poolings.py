"""The ways to pool the fibre of features, each of which may know something else of the image."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.errors import shown
from eqmodels.evaluation.encoding import Encodable, Subject
from eqmodels.evaluation.orbits import Motion
from eqmodels.evaluation.specimen import device_of
from eqmodels.fields import Field, Regular, Scalars, Sum

__all__ = ["POOLINGS", "change_under", "pool_features", "poolings_of"]

POOLINGS: dict[str, str] = {
    "regular": "the features as they are: the fibre permutes when the image moves",
    "regular-half": "half of the fibres as they are, as many features as a network of half the width has",
    "invariant": "the maximum over the fibre; scalars as they are",
    "invariant-3": "the maximum, the mean and the norm over the fibre",
    "canonical": "the fibre turned back by the predicted pose",
    "canonical-soft": "the fibre averaged over the predicted poses",
    "all": "invariant-3, canonical and regular side by side",
}
"""What each pooling is."""

ROWS = 4096
"""Images whose pose is predicted at a time, as the hidden layer is wide."""


def poolings_of(encoder: Encodable | Subject) -> tuple[str, ...]:
    """The poolings that make sense for an encoder: where there is no fibre, features are taken as they are.

    They are called ``"invariant"`` where they are declared so, else ``"regular"``.
    """
    subject = Subject.of(encoder)
    if not subject.has_fibres:
        return ("invariant",) if subject.is_invariant else ("regular",)
    return tuple(name for name in POOLINGS if subject.pose is not None or not name.startswith("canonical"))


@torch.no_grad()
def pool_features(encoder: Encodable | Subject, features: Float[Tensor, "N C"], pooling: str) -> Float[Tensor, "N F"]:
    """What a pooling makes of an encoder's features; on the CPU, wherever the encoder is.

    Args:
        encoder: whose features they are: its field says what a fibre is, and its pose how to turn it back.
        features: as `encode` gives them.
        pooling: one of `poolings_of`.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the pooling is unknown, the encoder does not have it, or the features are no vectors.
    """
    check_arguments(pool_features, {"features": features, "pooling": pooling})
    subject = Subject.of(encoder)
    if pooling not in (possible := poolings_of(subject)):
        raise ValueError(f"this network's poolings are {', '.join(possible)}; got {shown(pooling)}. Pass one of them.")
    if features.dim() != 2:
        raise ValueError(
            f"features must be vectors of the shape (images, channels); got {tuple(features.shape)}. Take them from "
            "encode."
        )
    if pooling == "regular":
        return features
    assert subject.field is not None
    if pooling == "all":
        parts = [name for name in ("invariant-3", "canonical", "regular") if name in possible]
        return torch.cat([pool_features(subject, features, name) for name in parts], 1)
    if pooling == "regular-half":
        return torch.cat([_half(part, own) for part, own in _parts(subject.field, features)], 1)
    if pooling.startswith("invariant"):
        modes: tuple[Mode, ...] = ("max", "mean", "norm") if pooling == "invariant-3" else ("max",)
        return _invariants(subject.field, features, modes)
    pose = subject.pose
    assert pose is not None
    device = device_of(pose)
    soft = pooling == "canonical-soft"
    turned = [
        subject.field.turned_back(rows, pose(rows), soft=soft).cpu()
        for rows in (part.to(device) for part in features.split(ROWS))
    ]
    return torch.cat(turned)


Mode = Literal["max", "mean", "norm"]


def _parts(field: Field, features: Float[Tensor, "N C"]) -> list[tuple[Field, Tensor]]:
    """The summands of a field with their channels."""
    return list(zip(field.parts, field.split(features), strict=True)) if isinstance(field, Sum) else [(field, features)]


def _half(part: Field, features: Float[Tensor, "N C"]) -> Float[Tensor, "N F"]:
    # No field is before another: initialisation and training do not tell them apart.
    fields: Tensor = features.unflatten(1, (part.order if isinstance(part, Regular) else 1, -1))
    return fields[:, :, : max(fields.shape[2] // 2, 1)].flatten(1)


def _invariants(field: Field, features: Float[Tensor, "N C"], modes: tuple[Mode, ...]) -> Float[Tensor, "N F"]:
    """Each way to pool the fibres side by side; scalars, which are invariant already, once."""
    parts = _parts(field, features)
    scalars = [own for part, own in parts if isinstance(part, Scalars)]
    fibres = [own.unflatten(1, (part.order, -1)) for part, own in parts if isinstance(part, Regular)]
    return torch.cat([*scalars, *(_over_fibre(fibre, mode) for mode in modes for fibre in fibres)], 1)


def _over_fibre(fibre: Float[Tensor, "N G F"], mode: Mode) -> Float[Tensor, "N F"]:
    if mode == "max":
        return fibre.amax(1)
    return fibre.mean(1) if mode == "mean" else torch.linalg.vector_norm(fibre, dim=1)


def change_under(
    motion: Motion, field: Field | None, features: Float[Tensor, "N C"], moved: Float[Tensor, "N C"]
) -> float:
    """How far features of moved images are from the moved features: ``|f(g x) - rho(g) f(x)| / |f(x)|``.

    Root mean squares over all images; 0 if all features are. Where the field says nothing of the motion, because its
    group does not have it or nobody declared a field, ``rho(g)`` is the identity.

    Args:
        motion: of the images.
        field: of the features; None if nobody declared it.
        features: of the images.
        moved: features of the moved images, both whole or both through a circle.
    """
    group, g = motion.element
    known = field is not None and field.represents(group, g)
    expected = field.transform(group, g, features) if field is not None and known else features
    norm = float(features.double().norm())
    return float((moved - expected).double().norm()) / norm if norm else 0.0
