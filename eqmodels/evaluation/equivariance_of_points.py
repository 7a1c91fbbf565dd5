"""Equivariance of encoders of points: turns, together with a shift of the cloud and another order of its points."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eqmodels._shapes import Float
from eqmodels.backbones import PointBackbone
from eqmodels.errors import shown
from eqmodels.evaluation.collapse import measure_collapse
from eqmodels.evaluation.equivariance_error import relative_error
from eqmodels.evaluation.equivariance_results import AngleError, EquivarianceReport, LayerError
from eqmodels.evaluation.specimen import device_of, measuring_copy, randomise
from eqmodels.fields import Field
from eqmodels.groups import Group, SpaceGroup, axis_angle_matrix

__all__ = ["assert_equivariant_on_points", "report_on_points"]

DRAWN = 4
"""Elements of the group that are tried."""

SPREAD = 1e-6
"""Of the output over the clouds, below which its equivariance says nothing."""


def report_on_points(
    model: PointBackbone,
    *,
    size: int,
    dtype: torch.dtype,
    group: Group | str | None,
    clouds: Tensor | None,
    batch: int,
    seed: int,
    angles: Sequence[int | float],
    name: str | None,
) -> EquivarianceReport:
    """What `equivariance_report` finds of an encoder of points.

    Args:
        model: the encoder, which is not changed.
        size: points of each cloud.
        dtype: of weights and points.
        group: SO(3) or O(3) or its name; None for the encoder's own.
        clouds: to use, at least two; None draws some, as `size`, `batch` and `seed` say.
        batch: number of clouds.
        seed: of the clouds and of the motions.
        angles: degrees of the curve, about one axis that is drawn.
        name: what to call the network; None for the name of its class.

    Raises:
        ValueError: if the encoder has no group and none is given, or another argument breaks its rule.
    """
    specimen = measuring_copy(model, dtype)
    assert isinstance(specimen, PointBackbone)
    tested = _group_to_test(model, group)
    generator = torch.Generator().manual_seed(seed)
    clouds = _clouds(model, size, batch, generator) if clouds is None else _checked(clouds)
    clouds = clouds.to(device_of(model), dtype)
    with torch.no_grad():
        originals = _outputs(specimen, clouds)
        errors = [
            error
            for number, element in enumerate(tested.random(DRAWN, generator))
            for error in _errors(specimen, clouds, originals, tested, number, element.to(clouds), generator)
        ]
        curve = _curve(specimen, clouds, angles, generator)
        maps, field = originals["forward_features"]
        collapse = measure_collapse(maps, field)
    return EquivarianceReport(
        model=type(model).__name__ if name is None else name,
        group=tested,
        size=(clouds.shape[1], clouds.shape[2]),
        images=len(clouds),
        dtype=str(dtype).removeprefix("torch."),
        layers=tuple(sorted(errors, key=lambda e: -math.inf if math.isnan(e.error) else -e.error)),
        curve=tuple(curve),
        collapse=collapse,
        takes="points",
    )


def assert_equivariant_on_points(
    model: PointBackbone,
    *,
    size: int,
    tolerance: float,
    dtype: torch.dtype,
    group: Group | str | None,
    randomised: bool,
    clouds: Tensor | None,
    batch: int,
    seed: int,
) -> None:
    """What `assert_equivariant` asks of an encoder of points.

    Args:
        model: the encoder, which is not changed.
        size: points of each cloud.
        tolerance: the largest relative error allowed.
        dtype: of weights and points.
        group: SO(3) or O(3) or its name; None for the encoder's own.
        randomised: whether weights are drawn anew.
        clouds: to use, at least two; None draws some.
        batch: number of clouds.
        seed: of clouds, motions and weights.

    Raises:
        AssertionError: if an error exceeds the tolerance, or the output hardly depends on the cloud.
        ValueError: if the encoder has no group and none is given.
    """
    specimen = measuring_copy(model, dtype)
    assert isinstance(specimen, PointBackbone)
    if randomised:
        randomise(specimen, torch.Generator().manual_seed(seed))
    report = report_on_points(
        specimen, size=size, dtype=dtype, group=group, clouds=clouds, batch=batch, seed=seed, angles=(), name=None
    )
    silent = [error for error in report.layers if error.layer == "output" and error.fibre == "no field"]
    worst = (silent or report.layers)[0]
    subject = f"{report.model} on {report.size[0]} points"
    if silent:
        raise AssertionError(f"{subject} declares of its output no field of {report.group}, so that nothing is judged.")
    if not worst.error <= tolerance:
        raise AssertionError(
            f"{subject} is not {report.group}-equivariant: the worst of its outputs is {worst.layer}, whose relative "
            f"error at {worst.description} is {worst.error:.1e}, above {tolerance:.1e}."
        )
    if not report.collapse.spread > SPREAD:
        raise AssertionError(
            f"the features of {subject} hardly depend on the cloud (relative spread {report.collapse.spread:.1e}), so "
            "their equivariance says nothing; try another seed or more points."
        )


def _group_to_test(model: nn.Module, group: Group | str | None) -> SpaceGroup:
    own = getattr(model, "group", None) if group is None else group
    if isinstance(own, SpaceGroup | str):
        return SpaceGroup.parse(own)
    raise ValueError(
        f"group must be one of space, so3 or o3, or the network have one of its own; got {shown(group)}. Pass "
        "group='so3'."
    )


def _clouds(model: PointBackbone, size: int, batch: int, generator: torch.Generator) -> Float[Tensor, "B N C"]:
    if size < 1 or batch < 2:
        raise ValueError(f"size must be at least 1 and batch at least 2; got {size} and {batch}. Leave them out.")
    return torch.randn(batch, size, model.in_chans, generator=generator, dtype=torch.float64)


def _checked(clouds: Tensor) -> Tensor:
    if clouds.dim() != 3 or len(clouds) < 2:
        raise ValueError(
            "images of an encoder of points are clouds of the shape (batch, points, 3), at least two, so that a "
            f"network that ignores its input is found out; got {tuple(clouds.shape)}. Stack two different clouds."
        )
    return clouds


def _outputs(specimen: PointBackbone, clouds: Float[Tensor, "B N C"]) -> dict[str, tuple[Tensor, Field]]:
    """Features of points, of clouds, and the output, each with what it means; of scores that nobody knows, none."""
    maps = specimen.forward_features(clouds)
    pooled = specimen.global_pool(maps)
    found: dict[str, tuple[Tensor, Field]] = {
        "forward_features": (maps, specimen.map_field),
        "global_pool": (pooled, specimen.pooled_field),
    }
    if specimen.out_field is not None:
        found["output"] = (specimen.fc(pooled), specimen.out_field)
    return found


def _errors(
    specimen: PointBackbone,
    clouds: Float[Tensor, "B N C"],
    originals: dict[str, tuple[Tensor, Field]],
    group: SpaceGroup,
    number: int,
    element: Float[Tensor, "3 3"],
    generator: torch.Generator,
) -> list[LayerError]:
    """The errors of one element, after which each cloud lies elsewhere, and its points in another order."""
    order = torch.randperm(clouds.shape[1], generator=generator).to(clouds.device)
    moved = _turned(clouds, element)[:, order]
    moved[..., :3] += torch.randn(3, generator=generator, dtype=torch.float64).to(clouds)
    found = []
    for layer, (value, field) in _outputs(specimen, moved).items():
        original, _ = originals[layer]
        expected = original[..., order] if original.dim() == 3 else original
        known = field.represents(group, element)
        if known:
            expected = field.transform(group, element, expected)
        acting = "invariant" if field.group is None else str(field.group)
        found.append(
            LayerError(
                layer=layer,
                element=number,
                description=group.describe(element),
                error=relative_error(value, expected, original),
                exact=True,
                fibre=acting if known else "no field",
            )
        )
    return found


def _turned(clouds: Float[Tensor, "B N C"], matrix: Float[Tensor, "3 3"]) -> Float[Tensor, "B N C"]:
    """The coordinates turned; what stands behind them as it is."""
    return torch.cat([clouds[..., :3] @ matrix.T, clouds[..., 3:]], 2)


def _curve(
    specimen: PointBackbone, clouds: Float[Tensor, "B N C"], angles: Sequence[int | float], generator: torch.Generator
) -> list[AngleError]:
    axis = torch.randn(3, generator=generator, dtype=torch.float64)

    def invariants(turned: Tensor) -> Tensor:
        return specimen.map_field.invariants(specimen.regular_features(turned))

    original = invariants(clouds)
    turns = [(float(angle), axis_angle_matrix(axis, float(angle)).to(clouds)) for angle in angles]
    return [AngleError(angle, relative_error(invariants(_turned(clouds, m)), original, original)) for angle, m in turns]
