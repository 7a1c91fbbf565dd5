"""Equivariance measured: for every layer and every element of a group, and as a curve over all angles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones import PointBackbone
from eqmodels.checks import check_count
from eqmodels.evaluation.collapse import measure_collapse
from eqmodels.evaluation.equivariance_error import Motion, group_to_test, motions, relative_error
from eqmodels.evaluation.equivariance_of_points import report_on_points
from eqmodels.evaluation.equivariance_results import AngleError, EquivarianceReport, LayerError
from eqmodels.evaluation.layer_fields import watch
from eqmodels.evaluation.specimen import checked_images, device_of, images_for, measuring_copy
from eqmodels.fields import Field, Scalars
from eqmodels.groups import Group, PlanarGroup, rotate

__all__ = ["equivariance_report"]


def equivariance_report(
    model: nn.Module,
    *,
    size: int | tuple[int, int] = 32,
    dtype: torch.dtype = torch.float64,
    group: Group | str | None = None,
    images: Float[Tensor, " B *shape"] | None = None,
    batch: int = 2,
    seed: int = 0,
    angles: Sequence[int | float] = range(0, 360, 15),
    name: str | None = None,
) -> EquivarianceReport:
    """How far a network, as it is, is from turning its features with the image.

    Every module whose output says how it transforms (declared, or for modules of others guessed, see
    `eqmodels.evaluation.layer_fields`) is compared with every element of the group but the identity, the pooled
    features and the final output among them. An element that the layer's own group does not have moves the pixels alone
    ("no fibre"): so a network without a group, or one restricted to a subgroup along its depth, can be tested with any
    group. Quarter turns and flips see the whole image; for other elements image and maps are masked by the inscribed
    circle.

    The curve is the relative change of the invariant features (mean over space and maximum over the fibre of the last
    feature map; without a fibre, the mean over space) when the image, masked by the circle, turns by any angle: the one
    quantity that should be zero at every angle, whatever the group.

    An encoder of points is asked about clouds that are turned by elements drawn of SO(3) or O(3), moved away and put
    into another order: its features of points, of clouds, and its output are compared.

    The model is not changed: a copy runs in eval mode and in the asked dtype, on the device of the model.

    Args:
        model: any network that takes ``(B, C, H, W)``, or a `PointBackbone`.
        size: pixels of the square image, or height and width; points of a cloud.
        dtype: of weights and images.
        group: the group to test with, or its name; None for the network's own.
        images: the images (or clouds) to use, at least two; None draws `smooth_images`, as `size`, `batch` and `seed`
            say.
        batch: number of images, at least 2.
        seed: of the images.
        angles: degrees of the curve.
        name: what to call the network; None for the name of its class.

    Raises:
        ValueError: if the network has no group and none is given, or another argument breaks its rule.
        TypeError: if the model is no module, or `dtype` not a real floating point type.

    Example:
        >>> from eqmodels import create_model
        >>> report = equivariance_report(create_model("c4_resnet18s_w4"), size=(12, 16))
        >>> report.worst.error < 1e-12
        True
    """
    check_arguments(equivariance_report, {"batch": batch, "seed": seed, "name": name, "images": images})
    if isinstance(model, PointBackbone):
        of = {"dtype": dtype, "group": group, "batch": batch, "seed": seed, "angles": angles, "name": name}
        return report_on_points(model, size=check_count("size", size), clouds=images, **of)  # type: ignore[arg-type]
    specimen = measuring_copy(model, dtype)
    tested = group_to_test(model, group, None)
    images = images_for(model, size, batch, seed) if images is None else checked_images(images)
    images = images.to(device_of(model), dtype)
    with torch.no_grad():
        layers = _layer_errors(specimen, images, tested)
        curve = _curve(specimen, images, angles)
        collapse = measure_collapse(*_last_map(specimen, images))
    return EquivarianceReport(
        model=type(model).__name__ if name is None else name,
        group=tested,
        size=(images.shape[-2], images.shape[-1]),
        images=len(images),
        dtype=str(dtype).removeprefix("torch."),
        layers=tuple(layers),
        curve=tuple(curve),
        collapse=collapse,
    )


def _layer_errors(specimen: nn.Module, images: Float[Tensor, "B C H W"], group: PlanarGroup) -> list[LayerError]:
    """The error of every layer for every element, the worst first."""
    errors: list[LayerError] = []
    all_motions = motions(group, group.elements)
    for exact in (True, False):
        chosen = [motion for motion in all_motions if motion.exact is exact]
        if chosen:
            start = chosen[0].start(images)
            originals = _outputs(specimen, start)
            for motion in chosen:
                errors += _motion_errors(specimen, start, motion, originals)
    return sorted(errors, key=lambda e: -math.inf if math.isnan(e.error) else -e.error)


def _outputs(specimen: nn.Module, images: Float[Tensor, "B C H W"]) -> dict[str, Tensor]:
    outputs: dict[str, Tensor] = {}
    # In-place layers overwrite what a hook sees, hence the copy.
    watch(specimen, images, lambda name, output, _: outputs.__setitem__(name, output.clone()))
    return outputs


def _motion_errors(
    specimen: nn.Module, images: Float[Tensor, "B C H W"], motion: Motion, originals: dict[str, Tensor]
) -> list[LayerError]:
    """The errors of one element, in the order of the layers."""
    found: list[LayerError] = []

    def compare(layer: str, output: Tensor, field: Field) -> None:
        known = field.group is not None and motion.is_represented(field)
        found.append(
            LayerError(
                layer=layer,
                element=motion.element,
                description=motion.description,
                error=motion.error(field, originals[layer], output),
                exact=motion.exact,
                fibre=str(field.group) if known else "no fibre",
            )
        )

    watch(specimen, motion.moved(Scalars(images.shape[1]), images), compare)
    return found


def _curve(specimen: nn.Module, images: Float[Tensor, "B C H W"], angles: Sequence[int | float]) -> list[AngleError]:
    if not angles:
        return []
    masked = rotate(images, 0.0, circular=True)

    def invariants(inputs: Tensor) -> Tensor:
        maps, field = _last_map(specimen, inputs)
        return field.invariants(maps.flatten(2).mean(2) if maps.dim() > 2 else maps)

    original = invariants(masked)
    turned = ((float(angle), invariants(rotate(masked, float(angle), circular=True))) for angle in angles)
    return [AngleError(angle, relative_error(features, original, original)) for angle, features in turned]


def _last_map(specimen: nn.Module, images: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B F *space"], Field]:
    """The last feature map whose field is known (of a network without maps, the last vector), and the field."""
    last: dict[int, tuple[Tensor, Field]] = {}
    watch(specimen, images, lambda _, output, field: last.__setitem__(output.dim(), (output.clone(), field)))
    if not last:
        raise ValueError(
            "the network must put out a tensor (batch, channels) or (batch, channels, height, width) somewhere; no "
            "module of it does. Wrap it in a module that returns such a tensor."
        )
    return last[max(last)]
