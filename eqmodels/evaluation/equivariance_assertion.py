"""Equivariance asserted: a network's own output, and every layer inside that says what it puts out, are judged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.arguments import check_arguments
from eqmodels.backbones import PointBackbone
from eqmodels.checks import check_count
from eqmodels.errors import is_one_of, shown
from eqmodels.evaluation.collapse import relative_spread
from eqmodels.evaluation.declared_calls import Call, declared_calls
from eqmodels.evaluation.equivariance_error import Motion, group_to_test, motions
from eqmodels.evaluation.equivariance_of_points import assert_equivariant_on_points
from eqmodels.evaluation.layer_fields import OUTPUT
from eqmodels.evaluation.specimen import checked_images, device_of, images_for, measuring_copy, randomise
from eqmodels.fields import Field, Scalars
from eqmodels.groups import Group, PlanarGroup
from eqmodels.layers import output_field
from eqmodels.layers.declared import fixed_fields

__all__ = ["assert_equivariant"]

Elements = Literal["exact", "all"]


def assert_equivariant(
    model: nn.Module,
    *,
    out_field: Field | None = None,
    size: int | tuple[int, int] = 32,
    tolerance: float = 1e-10,
    dtype: torch.dtype = torch.float64,
    group: Group | str | None = None,
    elements: Elements = "exact",
    randomised: bool = True,
    images: Float[Tensor, " B *shape"] | None = None,
    batch: int = 2,
    seed: int = 0,
) -> None:
    """Asserts that a network's output turns with the image as its field says, at random weights and statistics.

    The field is the argument `out_field`, or what the network declares: its attribute `out_field`, its method
    ``output_field(field)``, or, of a ``nn.Sequential``, what follows from its layers (see
    `eqmodels.layers.declared.output_field`). Nothing is guessed: what declares nothing is refused.

    Inside, every layer whose fields are known is judged too: where its input turned with the image as its `in_field`
    says, its output must as its `out_field` does. So a layer that is wrong is named, and not those that follow.

    An encoder of points is judged as a whole, on clouds that are turned by drawn elements, moved away and put into
    another order.

    Freshly built networks hide mistakes (zero biases, equal scales, statistics of 0 and 1), so a copy is randomised
    first, and runs in eval mode.

    Args:
        model: any network that takes ``(B, C, H, W)`` and returns ``(B, C)`` or ``(B, C, H, W)``; it is not changed.
        out_field: what the channels of the output mean; None for what the network declares.
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
        AssertionError: if an error exceeds the tolerance (the worst layer and element are named), a declared field has
            another number of channels than the features, or the output hardly depends on the image, so that its
            equivariance would say nothing.
        ValueError: if the network declares no field, the field says nothing of an element, an element hardly changes
            one of the images, the output is no tensor that could be judged, or an argument breaks its rule.
        TypeError: if the model is no module, `dtype` not a real floating point type, or `out_field` no field.

    Example:
        >>> from eqmodels.fields import Regular
        >>> from eqmodels.layers import SteerableConv2d
        >>> lifting = SteerableConv2d("c4", 3, 2, 3, lifting=True)
        >>> assert_equivariant(nn.Sequential(lifting, nn.ReLU()), size=9)
        >>> assert_equivariant(nn.Sequential(lifting, nn.Conv2d(8, 8, 3)), size=9, out_field=Regular("c4", 2))
        Traceback (most recent call last):
        AssertionError: Sequential at 9x9 is not C4-equivariant: the worst of its layers is output, ...
    """
    check_arguments(
        assert_equivariant,
        {"tolerance": tolerance, "randomised": randomised, "batch": batch, "seed": seed, "images": images},
    )
    if not is_one_of(elements, get_args(Elements)):
        raise ValueError(f"elements must be 'exact' or 'all'; got {shown(elements)}. Use 'exact'.")
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance must be above 0 and below 1, a relative error; got {tolerance}. Pass 1e-10.")
    if isinstance(model, PointBackbone):
        of = {"tolerance": tolerance, "dtype": dtype, "group": group, "randomised": randomised, "batch": batch}
        assert_equivariant_on_points(model, size=check_count("size", size), clouds=images, seed=seed, **of)  # type: ignore[arg-type]
        return
    specimen = measuring_copy(model, dtype)
    images = images_for(model, size, batch, seed) if images is None else checked_images(images)
    images = images.to(device_of(model), dtype)
    in_field = fixed_fields(model)[0] or Scalars(images.shape[1])
    field = _declared(model, in_field, out_field)
    tested = group_to_test(model, group, field)
    chosen = _judged_motions(model, tested, elements, in_field, field)
    _check_moved(images, chosen, in_field, tolerance)
    if randomised:
        randomise(specimen, torch.Generator().manual_seed(seed))
    subject = f"{type(model).__name__} at {images.shape[-2]}x{images.shape[-1]}"
    with torch.no_grad():
        worst, spread = _judged(specimen, images, chosen, in_field, field, tolerance)
    # Written so that NaN fails.
    if not worst.error <= tolerance:
        raise AssertionError(
            f"{subject} is not {tested}-equivariant: the worst of its layers is {worst.layer}, whose relative error at "
            f"{worst.motion.description} (element {worst.motion.element}) is {worst.error:.1e}, above {tolerance:.1e}, "
            f"for the field {worst.field}."
        )
    if not spread > _visible(tolerance):
        raise AssertionError(
            f"the output of {subject} hardly depends on the image (relative spread {spread:.1e}), so its "
            "equivariance says nothing; try another seed, more channels or larger images."
        )


@dataclass(frozen=True)
class _Finding:
    """The error of one layer for one motion, and the field that its output was judged by."""

    layer: str
    motion: Motion
    error: float
    field: Field

    @property
    def rank(self) -> float:
        """Larger is worse; NaN is the worst."""
        return math.inf if math.isnan(self.error) else self.error


def _declared(model: nn.Module, in_field: Field, out_field: Field | None) -> Field:
    """What the output is judged by."""
    if out_field is None:
        return output_field(model, in_field)
    if not isinstance(out_field, Field):
        raise TypeError(
            "out_field must be a field such as Regular('c4', 8) or Scalars(10), of eqmodels.fields; got "
            f"{shown(out_field)}. Leave it out for what the network declares."
        )
    return out_field


def _judged_motions(
    model: nn.Module, group: PlanarGroup, elements: Elements, in_field: Field, field: Field
) -> list[Motion]:
    """The motions to judge; refused if there is none, or one of which a field says nothing."""
    chosen = motions(group, group.exact_elements if elements == "exact" else group.elements)
    if not chosen:
        raise ValueError(
            f"{group} has no quarter turn or flip to assert; choose a group with one, or elements='all' and a "
            "tolerance for interpolation."
        )
    for name, said in (("input", in_field), ("output", field)):
        silent = next((motion for motion in chosen if not motion.is_represented(said)), None)
        if silent is not None:
            raise ValueError(
                f"the {name} of {type(model).__name__} is declared as {said}, which says nothing of "
                f"{silent.description} (element {silent.element} of {group}), so that it cannot be judged. Pass a "
                "group whose elements it represents, or out_field= for what you claim."
            )
    return chosen


def _check_moved(images: Float[Tensor, "B C H W"], chosen: list[Motion], in_field: Field, tolerance: float) -> None:
    """Refuses images on which an error could not show, as a motion leaves them as they are.

    Maps of one pixel, which a layer of fibres may take, are moved by their fibres alone.

    Raises:
        ValueError: if a motion changes an image by no more than could pass for rounding.
    """
    pixels = Scalars(images.shape[1]) if images.shape[-2:] != (1, 1) else in_field
    for motion in chosen:
        start = motion.start(images)
        moved = motion.moved(pixels, start)
        if moved.shape != start.shape:
            continue
        change, norm = ((part.flatten(1).norm(dim=1)) for part in (moved - start, start))
        # NaN is for the judgement to find.
        if unmoved := (change <= _visible(tolerance) * norm).nonzero().flatten().tolist():
            raise ValueError(
                "images must change visibly under every element that is asserted, or nothing is judged; image "
                f"{unmoved[0]} of {len(images)}, {images.shape[-2]}x{images.shape[-1]}, is the same after "
                f"{motion.description} (element {motion.element} of {motion.group}). Pass images without symmetry, "
                "such as smooth_images, or a larger size."
            )


def _visible(tolerance: float) -> float:
    """A relative change far above rounding; where a tolerance for interpolation is itself large, above that."""
    return max(tolerance, min(100 * tolerance, 1e-2))


def _judged(
    specimen: nn.Module,
    images: Float[Tensor, "B C H W"],
    chosen: list[Motion],
    in_field: Field,
    field: Field,
    tolerance: float,
) -> tuple[_Finding, float]:
    """The worst finding of all motions, and the relative spread of the output over the images."""
    findings: list[_Finding] = []
    spread = math.inf
    for exact in (True, False):
        motions_of_kind = [motion for motion in chosen if motion.exact is exact]
        if not motions_of_kind:
            continue
        start = motions_of_kind[0].start(images)
        output, calls = declared_calls(specimen, start, in_field)
        original = _checked_output(output, field, len(images)).clone()
        spread = min(spread, relative_spread(original))
        for motion in motions_of_kind:
            output, moved_calls = declared_calls(specimen, motion.moved(in_field, start), in_field)
            moved = _checked_output(output, field, len(images))
            findings.append(_Finding(OUTPUT, motion, motion.error(field, original, moved), field))
            findings += _blamed(motion, calls, moved_calls, tolerance)
    # A layer is more to blame than the network, and than a layer that it is a part of.
    inner = [finding for finding in findings if finding.layer != OUTPUT]
    innermost = [f for f in inner if not any(other.layer.startswith(f"{_name(f.layer)}.") for other in inner)]
    return max(innermost or findings, key=lambda finding: finding.rank), spread


def _blamed(motion: Motion, calls: dict[str, Call], moved_calls: dict[str, Call], tolerance: float) -> list[_Finding]:
    """The layers whose input turns with the image, and whose output does not."""
    found = []
    for layer, call in calls.items():
        moved = moved_calls.get(layer)
        if moved is None or not motion.is_represented(call.out_field):
            continue
        error = motion.error(call.out_field, call.output, moved.output)
        if error <= tolerance:
            continue
        if call.in_field is not None and call.inputs is not None and moved.inputs is not None:
            known = motion.is_represented(call.in_field)
            if not known or not motion.error(call.in_field, call.inputs, moved.inputs) <= tolerance:
                continue
        found.append(_Finding(layer, motion, error, call.out_field))
    return found


def _name(layer: str) -> str:
    return layer.partition("#")[0]


def _checked_output(output: object, field: Field, batch: int) -> Tensor:
    """The network's output, if it can be judged.

    Raises:
        ValueError: if it is no floating point ``(B, C)`` or ``(B, C, H, W)``.
        AssertionError: if it has another number of channels than its field.
    """
    if not isinstance(output, Tensor):
        raise ValueError(
            f"the network must return a tensor (batch, channels) or (batch, channels, height, width) to be judged; got "
            f"a {type(output).__name__}. Wrap it in a module that returns the one tensor to judge."
        )
    if not output.is_floating_point() or output.dim() not in (2, 4) or len(output) != batch:
        raise ValueError(
            f"the network must return a floating point tensor (batch, channels) or (batch, channels, height, width) to "
            f"be judged; got {output.dtype} of the shape {tuple(output.shape)} for {batch} images. Wrap it in a module "
            "that returns such a tensor."
        )
    if output.shape[1] != field.channels:
        raise AssertionError(
            f"the output is declared as {field}, of {field.channels} channels; got the shape {tuple(output.shape)}. "
            "Declare the field that it is of."
        )
    return output
