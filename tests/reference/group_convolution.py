"""A group convolution written from its definition, one number at a time: slow, and plain to read.

``out_g(x) = b + sum_h sum_d K[g, h](d) in_h(x + d)`` with ``K[g, h](d) = sum_j w[g^-1 h, j] b_j(g^-1 d)``. It shares no
code with the package: group elements are pairs (flip, turn) that multiply as 2 x 2 matrices do.
"""

from __future__ import annotations

import math

import torch


def elements(rotations: int, reflections: bool) -> list[tuple[int, int]]:
    """The pairs (f, r): r turns by 360 / N degrees after f reflections."""
    return [(f, r) for f in range(2 if reflections else 1) for r in range(rotations)]


def matrix(element: tuple[int, int], rotations: int) -> list[list[float]]:
    """The rotation counter-clockwise, y upwards, after x -> -x."""
    flip, turn = element
    cos, sin = math.cos(2 * math.pi * turn / rotations), math.sin(2 * math.pi * turn / rotations)
    return [[-cos if flip else cos, -sin], [-sin if flip else sin, cos]]


def inverse_product(g: tuple[int, int], h: tuple[int, int], rotations: int, reflections: bool) -> int:
    """The index of g^-1 h, found by its matrix (the inverse of an orthogonal matrix is its transpose)."""
    a, b = matrix(g, rotations), matrix(h, rotations)
    wanted = [[sum(a[k][i] * b[k][j] for k in range(2)) for j in range(2)] for i in range(2)]
    for index, element in enumerate(elements(rotations, reflections)):
        candidate = matrix(element, rotations)
        if all(abs(candidate[i][j] - wanted[i][j]) < 1e-9 for i in range(2) for j in range(2)):
            return index
    raise AssertionError("a group is closed")


def pixel_functions(x: float, y: float, size: int) -> list[float]:
    """One delta a pixel of the size x size grid, row by row from the top, at a point relative to the centre."""
    half = (size - 1) / 2
    return [
        float(abs(column - half - x) < 1e-6 and abs(half - row - y) < 1e-6)
        for row in range(size)
        for column in range(size)
    ]


def harmonic_functions(x: float, y: float, size: int) -> list[float]:
    """Gaussian rings times circular harmonics up to frequency 3r, not scaled."""
    radius, angle, last = math.hypot(x, y), math.atan2(y, x), (size - 1) // 2
    values = []
    for ring in range(last + 1):
        width = 0.01 if ring == 0 else 0.4 if ring == last else 0.6
        profile = math.exp(-((radius - ring) ** 2) / (2 * width**2))
        values.append(profile)
        for frequency in range(1, 3 * ring + 1):
            off_centre = profile if radius > 0.5 else 0.0
            values += [off_centre * math.cos(frequency * angle), off_centre * math.sin(frequency * angle)]
    return values


def turned_functions(kind: str, rotations: int, reflections: bool, size: int) -> torch.Tensor:
    """``b_j(g^-1 d)`` for every element, function and pixel: (|G|, J, k, k)."""
    functions = {"pixel": pixel_functions, "harmonic": harmonic_functions}[kind]
    half = (size - 1) / 2
    turned = []
    for g in elements(rotations, reflections):
        m = matrix(g, rotations)
        values = torch.empty(0)
        for row in range(size):
            for column in range(size):
                x, y = column - half, half - row
                # g^-1 is the transpose of g.
                at = functions(m[0][0] * x + m[1][0] * y, m[0][1] * x + m[1][1] * y, size)
                values = torch.zeros(len(at), size, size, dtype=torch.float64) if not len(values) else values
                values[:, row, column] = torch.tensor(at, dtype=torch.float64)
        turned.append(values)
    return torch.stack(turned)


def filters(weight: torch.Tensor, functions: torch.Tensor, rotations: int, reflections: bool) -> torch.Tensor:
    """The kernels (|G| out, |G| in or in, k, k), group-major, of a weight ((|G| or 1) J, out, in)."""
    group = elements(rotations, reflections)
    weight = weight.unflatten(0, (-1, functions.shape[1]))
    fibre, _, out_fields, in_fields = weight.shape
    k = functions.shape[-1]
    dense = torch.zeros(len(group) * out_fields, fibre * in_fields, k, k, dtype=weight.dtype)
    for row, g in enumerate(group):
        for column in range(fibre):
            relative = 0 if fibre == 1 else inverse_product(g, group[column], rotations, reflections)
            for o in range(out_fields):
                for i in range(in_fields):
                    kernel = sum(w * b for w, b in zip(weight[relative, :, o, i], functions[row], strict=True))
                    dense[row * out_fields + o, column * in_fields + i] = kernel
    return dense


def convolve(maps: torch.Tensor, kernels: torch.Tensor, stride: int, padding: int, dilation: int) -> torch.Tensor:
    """The cross-correlation with zeros outside, pixel by pixel."""
    batch, _, height, width = maps.shape
    k, reach = kernels.shape[-1], dilation * (kernels.shape[-1] - 1)
    rows = (height + 2 * padding - reach - 1) // stride + 1
    columns = (width + 2 * padding - reach - 1) // stride + 1
    out = torch.zeros(batch, len(kernels), rows, columns, dtype=maps.dtype)
    for y in range(rows):
        for x in range(columns):
            for row in range(k):
                for column in range(k):
                    at_y, at_x = y * stride - padding + row * dilation, x * stride - padding + column * dilation
                    if 0 <= at_y < height and 0 <= at_x < width:
                        out[:, :, y, x] += maps[:, :, at_y, at_x] @ kernels[:, :, row, column].T
    return out
