"""Equivariance measured: for every layer and every element of a group, and as a curve over all angles.

The figure is the relative error ``||f(g x) - rho(g) f(x)|| / ||f(x)||`` over a batch: the root of the ratio of mean
squares ``E|f(gx) - rho(g) f(x)|^2 / E|f(x)|^2`` that the literature also reports. It is 0 for a constant network, so it
always comes with a measure of collapse.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.evaluation.collapse import measure_collapse, relative_spread
from eqmodels.evaluation.equivariance_report import AngleError, EquivarianceReport, LayerError
from eqmodels.evaluation.fibres import Fibre, counterpart, watch
from eqmodels.evaluation.specimen import checked_images, device_of, images_for, measuring_copy, randomise
from eqmodels.groups import PlanarGroup, rotate

__all__ = ["assert_equivariant", "equivariance_report"]


def equivariance_report(
    model: nn.Module,
    *,
    size: int | tuple[int, int] = 32,
    dtype: torch.dtype = torch.float64,
    group: PlanarGroup | str | None = None,
    images: Float[Tensor, "B C H W"] | None = None,
    batch: int = 2,
    seed: int = 0,
    angles: Sequence[int | float] = range(0, 360, 15),
    name: str | None = None,
) -> EquivarianceReport:
    """How far a network, as it is, is from turning its features with the image.

    Every module whose output says how it transforms (`eqmodels.evaluation.fibres` has the rule) is compared with every
    element of the group but the identity, the pooled features and the final output among them. An element that the
    layer's own group does not have moves the pixels alone ("no fibre"): so a network without a group, or one restricted
    to a subgroup along its depth, can be tested with any group. Quarter turns and flips see the whole image; for other
    elements image and maps are masked by the inscribed circle.

    The curve is the relative change of the invariant features (mean over space and maximum over the fibre of the last
    feature map; without a fibre, the mean over space) when the image, masked by the circle, turns by any angle: the one
    quantity that should be zero at every angle, whatever the group.

    The model is not changed: a copy runs in eval mode and in the asked dtype, on the device of the model.

    Args:
        model: any network that takes ``(B, C, H, W)``.
        size: pixels of the square image, or height and width.
        dtype: of weights and images.
        group: the group to test with, or its name; None for the network's own.
        images: the images to use, at least two; None draws `smooth_images`, as `size`, `batch` and `seed` say.
        batch: number of images, at least 2.
        seed: of the images.
        angles: degrees of the curve.
        name: what to call the network; None for the name of its class.

    Raises:
        ValueError: if the network has no group and none is given, or another argument breaks its rule.
        TypeError: if `dtype` is not a real floating point type.

    Example:
        >>> from eqmodels import create_model
        >>> report = equivariance_report(create_model("c4_resnet18s_w4"), size=(12, 16))
        >>> report.worst.error < 1e-12
        True
    """
    tested = _tested_group(model, group)
    specimen = measuring_copy(model, dtype)
    images = images_for(model, size, batch, seed) if images is None else checked_images(images)
    images = images.to(device_of(model), dtype)
    with torch.no_grad():
        layers = _layer_errors(specimen, images, tested, tested.elements)
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


def assert_equivariant(
    model: nn.Module,
    *,
    size: int | tuple[int, int] = 32,
    tolerance: float = 1e-10,
    dtype: torch.dtype = torch.float64,
    group: PlanarGroup | str | None = None,
    elements: Literal["exact", "all"] = "exact",
    randomised: bool = True,
    images: Float[Tensor, "B C H W"] | None = None,
    batch: int = 2,
    seed: int = 0,
) -> None:
    """Asserts that every layer of a network turns with the image, at random weights and statistics.

    Freshly built networks hide mistakes (zero biases, equal scales, statistics of 0 and 1), so a copy is randomised
    first.

    Args:
        model: any network that takes ``(B, C, H, W)``; it is not changed.
        size: pixels of the square image, or height and width.
        tolerance: the largest relative error allowed.
        dtype: of weights and images.
        group: the group to test with, or its name; None for the network's own.
        elements: ``"exact"`` for the quarter turns and flips, which permute pixels, or ``"all"``.
        randomised: False tests the network as it is, for instance after training.
        images: the images to use, at least two; None draws `smooth_images`, as `size`, `batch` and `seed` say.
        batch: number of images, at least 2.
        seed: of the images and of the weights.

    Raises:
        AssertionError: if an error exceeds the tolerance (the worst layer and element are named), or if the features
            hardly depend on the image, so that their equivariance would say nothing.
        ValueError: if an argument breaks its rule.
        TypeError: if `dtype` is not a real floating point type.
    """
    if elements not in ("exact", "all"):
        raise ValueError(f"elements must be 'exact' or 'all'; got {elements!r}. Use 'exact'.")
    tested = _tested_group(model, group)
    asserted = tested.exact_elements if elements == "exact" else tuple(tested.elements)
    if len(asserted) == 1:
        raise ValueError(
            f"{tested} has no quarter turn or flip to assert; choose a group with one, or elements='all' and a "
            "tolerance for interpolation."
        )
    specimen = measuring_copy(model, dtype)
    if randomised:
        randomise(specimen, torch.Generator().manual_seed(seed))
    images = images_for(model, size, batch, seed) if images is None else checked_images(images)
    images = images.to(device_of(model), dtype)
    with torch.no_grad():
        maps, _ = _last_map(specimen, images)
        worst = _layer_errors(specimen, images, tested, asserted)[0]
    subject = f"{type(model).__name__} at {images.shape[-2]}x{images.shape[-1]}"
    # Written so that NaN fails.
    if not worst.error <= tolerance:
        raise AssertionError(
            f"{subject} is not {tested}-equivariant: the worst of its layers is {worst.layer}, whose relative error at "
            f"{worst.description} (element {worst.element}) is {worst.error:.1e}, above {tolerance:.1e}."
        )
    spread = relative_spread(maps)
    if not spread > 100 * tolerance:
        raise AssertionError(
            f"the features of {subject} hardly depend on the image (relative spread {spread:.1e}), so their "
            "equivariance says nothing; try another seed, more channels or larger images."
        )


def _layer_errors(
    specimen: nn.Module, images: Float[Tensor, "B C H W"], group: PlanarGroup, elements: Iterable[int]
) -> list[LayerError]:
    """The error of every layer for the given elements, the worst first."""
    errors: list[LayerError] = []
    motions = [_Motion(group, g, group.is_exact(g)) for g in elements if g != group.identity]
    # Quarter turns and flips keep the corners; other elements would show there which angle it was.
    for exact in (True, False):
        chosen = [motion for motion in motions if motion.exact is exact]
        if chosen:
            start = group.act(group.identity, images, circular=not exact)
            originals = _outputs(specimen, start)
            for motion in chosen:
                errors += _element_errors(specimen, start, motion, originals)
    return sorted(errors, key=lambda e: -math.inf if math.isnan(e.error) else -e.error)


@dataclass(frozen=True)
class _Motion:
    """An element of the tested group; one that is not exact is measured inside the inscribed circle."""

    group: PlanarGroup
    element: int
    exact: bool


def _outputs(specimen: nn.Module, images: Float[Tensor, "B C H W"]) -> dict[str, Tensor]:
    outputs: dict[str, Tensor] = {}
    # In-place layers overwrite what a hook sees, hence the copy.
    watch(specimen, images, lambda name, output, _: outputs.__setitem__(name, output.clone()))
    return outputs


def _element_errors(
    specimen: nn.Module, images: Float[Tensor, "B C H W"], motion: _Motion, originals: dict[str, Tensor]
) -> list[LayerError]:
    """The errors of one element, in the order of the layers."""
    group, g = motion.group, motion.element
    found: list[tuple[str, float, Fibre]] = []
    moved = group.act(g, images, circular=not motion.exact)
    watch(specimen, moved, partial(_compare, found, motion, originals))
    description = group.describe(g)
    return [
        LayerError(
            layer=layer,
            element=g,
            description=description,
            error=error,
            exact=motion.exact,
            fibre=_label(fibre.group, group, g),
        )
        for layer, error, fibre in found
    ]


@lru_cache(maxsize=256)
def _label(fibre_group: PlanarGroup | None, group: PlanarGroup, g: int) -> str:
    return "no fibre" if counterpart(fibre_group, group, g) is None else str(fibre_group)


def _compare(
    found: list[tuple[str, float, Fibre]],
    motion: _Motion,
    originals: dict[str, Tensor],
    layer: str,
    output: Tensor,
    fibre: Fibre,
) -> None:
    original = originals[layer]
    expected = fibre.act(motion.group, motion.element, original, circular=not motion.exact)
    if not motion.exact and output.dim() == 4:
        output, original = (rotate(maps, 0.0, circular=True) for maps in (output, original))
    found.append((layer, _relative_error(output, expected, original), fibre))


def _relative_error(value: Tensor, expected: Tensor, original: Tensor) -> float:
    """``||value - expected|| / ||original||``; infinite if the shapes differ, or if a zero became something else."""
    if value.shape != expected.shape:
        return math.inf
    difference, norm = float((value - expected).norm()), float(original.norm())
    if norm == 0:
        return 0.0 if difference == 0 else math.inf
    return difference / norm


def _curve(specimen: nn.Module, images: Float[Tensor, "B C H W"], angles: Sequence[int | float]) -> list[AngleError]:
    if not angles:
        return []
    masked = rotate(images, 0.0, circular=True)

    def invariants(inputs: Tensor) -> Tensor:
        maps, fibre = _last_map(specimen, inputs)
        return fibre.invariants(maps)

    original = invariants(masked)
    turned = ((float(angle), invariants(rotate(masked, float(angle), circular=True))) for angle in angles)
    return [AngleError(angle, _relative_error(features, original, original)) for angle, features in turned]


def _last_map(specimen: nn.Module, images: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B F *space"], Fibre]:
    """The last feature map whose fibre is known (of a network without maps, the last vector), and the fibre."""
    last: dict[int, tuple[Tensor, Fibre]] = {}
    watch(specimen, images, lambda _, output, fibre: last.__setitem__(output.dim(), (output.clone(), fibre)))
    if not last:
        raise ValueError(
            "the network must put out a tensor (batch, channels) or (batch, channels, height, width) somewhere; no "
            "module of it does. Wrap it in a module that returns such a tensor."
        )
    return last[max(last)]


def _tested_group(model: nn.Module, group: PlanarGroup | str | None) -> PlanarGroup:
    named = [g for g in (getattr(module, "group", None) for module in model.modules()) if isinstance(g, PlanarGroup)]
    own = getattr(model, "group", named[-1] if named else None)
    tested = own if group is None else PlanarGroup.parse(group)
    if not isinstance(tested, PlanarGroup) or tested.order == 1:
        raise ValueError(
            "group must name a group of more than one element, or the network have one of its own; got "
            f"{'neither' if tested is None else tested}. Pass, say, group='c4'."
        )
    return tested
