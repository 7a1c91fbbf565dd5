"""The scalar functions on a kernel's pixels from which steerable filters are made, turned by every group element."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor

from eqmodels._shapes import Float, Int
from eqmodels.arguments import check_arguments
from eqmodels.checks import check_count
from eqmodels.errors import is_one_of, shown
from eqmodels.groups import PlanarGroup

__all__ = ["BasisName", "default_basis", "scalar_basis"]

BasisName = Literal["pixel", "harmonic"]

LARGEST_KERNEL = 63
"""Pixels along a side: the functions grow with the fourth power, and take a gigabyte at this one."""


def default_basis(group: PlanarGroup) -> BasisName:
    """``"pixel"`` where every element is exact on the pixel grid (C1, C2, C4, D1, D2, D4), else ``"harmonic"``.

    Raises:
        TypeError: if an argument is of another type.
    """
    check_arguments(default_basis, locals())
    return "pixel" if len(group.exact_elements) == group.order else "harmonic"


def scalar_basis(name: BasisName, group: PlanarGroup, kernel_size: int) -> Float[Tensor, "order J k k"]:
    """The functions ``b_j(g^-1 x)`` on a k x k grid, for every element ``g``, in float64.

    ``"pixel"`` is one delta a pixel (J = k^2), for groups that permute the pixels: the group convolution of Cohen and
    Welling 2016 (arXiv 1602.07576), every degree of freedom kept. ``"harmonic"`` is Gaussian rings times circular
    harmonics, for every group, with the rings, widths and frequency cut-off (3r on the ring of radius r) of
    Weiler and Cesa 2019 (arXiv 1911.08251), scaled so that one initialisation fits both (see `_balanced`). A 1 x 1
    kernel has one function, the constant, in any basis.

    Args:
        name: ``"pixel"`` or ``"harmonic"``.
        group: the group whose elements turn the functions.
        kernel_size: k, the number of pixels along a side.

    Raises:
        ValueError: if the name is unknown, if ``"pixel"`` meets a group that does not permute the pixels, or if
            ``"harmonic"`` meets an even kernel, which has no centre pixel; or if the kernel is of more than 63 pixels.
        TypeError: if the group is none, or the kernel size no integer.
    """
    check_arguments(scalar_basis, {"group": group})
    if check_count("kernel_size", kernel_size) > LARGEST_KERNEL:
        raise ValueError(f"kernel_size must be at most {LARGEST_KERNEL}; got {kernel_size}. Use 3, 5 or 7.")
    check_basis(name)
    if kernel_size == 1:
        return torch.ones(group.order, 1, 1, 1, dtype=torch.float64)
    if name == "pixel":
        return _pixel_basis(group, kernel_size)
    return _harmonic_basis(group, kernel_size)


def check_basis(name: BasisName) -> BasisName:
    """The name itself, if it is one of a basis.

    Raises:
        ValueError: if it is not.
    """
    if not is_one_of(name, get_args(BasisName)):
        raise ValueError(
            f"basis must be one of {', '.join(get_args(BasisName))}; got {shown(name)}. None picks the group's default."
        )
    return name


def pixel_sources(group: PlanarGroup, kernel_size: int) -> Int[Tensor, "order {kernel_size**2}"]:
    """The pixel ``g^-1 x`` from which each element ``g`` fetches the value at pixel ``x``, both as flat indices.

    Raises:
        ValueError: if an element of the group does not map the pixel grid onto itself.
    """
    if kernel_size > 1 and len(group.exact_elements) < group.order:
        raise ValueError(
            f"the pixel basis needs a group of quarter turns and axis flips (C1, C2, C4, D1, D2, D4); got {group}. "
            "Use basis='harmonic'."
        )
    return torch.tensor(_moved_pixels(group, kernel_size))


@lru_cache(maxsize=64)
def _moved_pixels(group: PlanarGroup, kernel_size: int) -> tuple[tuple[int, ...], ...]:
    """The numbers of the pixels, moved by each element."""
    # Numbers, not a tensor: a cached tensor would keep the default device and the inference mode of the first call.
    pixels = torch.arange(kernel_size**2, device="cpu").view(kernel_size, kernel_size)
    moved = [group.act(g, pixels) if kernel_size > 1 else pixels for g in group.elements]
    return tuple(tuple(one.flatten().tolist()) for one in moved)


def _pixel_basis(group: PlanarGroup, kernel_size: int) -> Float[Tensor, "order J k k"]:
    sources = pixel_sources(group, kernel_size).view(group.order, 1, kernel_size, kernel_size)
    return (sources == torch.arange(kernel_size**2).view(1, -1, 1, 1)).double()


def _harmonic_basis(group: PlanarGroup, kernel_size: int) -> Float[Tensor, "order J k k"]:
    if kernel_size % 2 == 0:
        raise ValueError(
            f"the harmonic basis needs an odd kernel size, whose rings have a centre pixel; got {kernel_size}. "
            f"Use {kernel_size - 1} or {kernel_size + 1}."
        )
    steps = torch.arange(kernel_size, dtype=torch.float64) - (kernel_size - 1) / 2
    # y points upwards, as in PlanarGroup.matrix.
    grid = torch.stack(torch.broadcast_tensors(steps[None, :], -steps[:, None]))
    # Quarter turns and flips permute the sampled pixels, so that these elements stay exact after rounding to any dtype.
    exact = PlanarGroup(math.gcd(group.rotations, 4), group.reflections)
    products = group.restriction(exact)
    turned: dict[int, Tensor] = {}
    for column, t in enumerate(products[0].tolist()):
        sampled, frequencies = _harmonics(torch.tensordot(group.matrix(t).T, grid, 1), kernel_size)
        turned |= {int(products[q, column]): exact.act(q, sampled) for q in exact.elements}
    basis = torch.stack([turned[g] for g in group.elements])
    return basis * _balanced(basis, frequencies)[:, None, None]


def _balanced(basis: Float[Tensor, "order J k k"], frequencies: Float[Tensor, " J"]) -> Float[Tensor, " J"]:
    """The scale of each function with which random weights pass on the variance of an input as k^2 pixel deltas do.

    Weights of variance 1 answer an input of covariance C with the variance ``sum_j b_j^T C b_j``, the deltas with
    ``trace C``. Two scales, of frequency 0 and of the others, make both equal for white noise (C the identity) *and*
    for a constant input (C all ones); deep ReLU features lie between the two, where amplitudes ``frequency^(1/4)`` keep
    the difference within 7% for k = 3, 5, 7. One scale for all functions would pass a constant input 1.9 to 2.9 times
    too strongly, in every layer.
    """
    pixels = basis[0, 0].numel()
    white = basis.square().sum((2, 3)).mean(0) / pixels
    constant = basis.sum((2, 3)).square().mean(0) / pixels
    kinds = torch.stack([frequencies == 0, frequencies > 0]).double()
    variance = frequencies.clamp(min=1).sqrt()
    responses = torch.stack([white, constant]) @ (variance * kinds).T
    scales: Tensor = torch.linalg.solve(responses, torch.ones_like(responses[0]))
    return (variance * (scales @ kinds)).sqrt()


def _harmonics(points: Float[Tensor, "2 k k"], kernel_size: int) -> tuple[Float[Tensor, "J k k"], Float[Tensor, " J"]]:
    """The functions at the given points, and the frequency of each."""
    radius, angle = points.norm(dim=0), torch.atan2(points[1], points[0])
    last = (kernel_size - 1) // 2
    functions, frequencies = [], []
    for ring in range(last + 1):
        # Weiler and Cesa's widths: a delta at the centre, 0.4 at the rim so that it stays inside, 0.6 between.
        width = 0.01 if ring == 0 else 0.4 if ring == last else 0.6
        profile = torch.exp(-((radius - ring) ** 2) / (2 * width**2))
        functions.append(profile)
        frequencies.append(0)
        # The angle is undefined at the centre: only frequency 0 lives there.
        off_centre = torch.where(radius > 0.5, profile, 0.0)
        for frequency in range(1, 3 * ring + 1):
            functions += [off_centre * trig(frequency * angle) for trig in (torch.cos, torch.sin)]
            frequencies += [frequency, frequency]
    return torch.stack(functions), torch.tensor(frequencies, dtype=torch.float64)
