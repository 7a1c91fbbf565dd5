"""Layers of irreps of any degree: convolution with spherical harmonics, linear maps, norms and gates.

Features are lists, for each part of their field ``(B, N, 2 degree + 1, count)``: components stand before fields, so
that whatever weighs or mixes fields runs along memory. No layer keeps a constant in its state: coefficients are made in
double precision where they are used, so that a network that is built in float32 and moved to float64 is as exact as one
that was built there, and files hold weights alone.

Source: Thomas et al. 2018, *Tensor field networks*, arXiv 1802.08219; Batzner et al. 2022, *NequIP*, arXiv 2101.03164;
Geiger and Smidt 2022, *e3nn*, arXiv 2207.09453, whose harmonics, coefficients and basis these are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from eqmodels._shapes import Bool, Float
from eqmodels.errors import shown
from eqmodels.fields import Irreps
from eqmodels.fields.irreps import safe_norm
from eqmodels.groups.wigner import o3_of_e3nn
from eqmodels.layers.space.clouds import masked_mean
from eqmodels.layers.space.neighbours import BASIS, Neighbours, gathered

__all__ = ["CONVOLUTIONS", "IrrepsLayer", "NodeConvolution", "convolution_named", "paths_of"]

Fields = list[Tensor]
"""Features of points, one tensor a part."""

Path = tuple[int, int, int]
"""The number of a part that is read, the degree of the harmonic, the number of the part that is written."""


def paths_of(field: Irreps, degree: int) -> list[Path]:
    """How the parts of a field and harmonics up to a degree make the parts of the field again, as parity allows.

    Args:
        field: that is read and written.
        degree: the largest of the harmonics.
    """
    found = []
    for i, part in enumerate(field.parts):
        for harmonic in range(degree + 1):
            for o, target in enumerate(field.parts):
                allowed = abs(part.degree - harmonic) <= target.degree <= part.degree + harmonic
                if allowed and target.parity == part.parity * (-1) ** harmonic:
                    found.append((i, harmonic, o))
    return found


@cache
def _coefficients(first: int, second: int, third: int) -> list[list[list[float]]]:
    """How two degrees make a third, ``(2 first + 1, 2 second + 1, 2 third + 1)``, normalised by component."""
    three_j = o3_of_e3nn("a convolution of irreps").wigner_3j(first, second, third, dtype=torch.float64, device="cpu")
    scaled: list[list[list[float]]] = ((2 * third + 1) ** 0.5 * three_j).tolist()
    return scaled


class NodeConvolution(nn.Module):
    """What every point hears of its neighbours: their features times harmonics of the direction, weighted by distance.

    ``sum_j w_p(r_ij) f_j x Y(r_ij)`` for every path p, by one matrix product of weighted features and harmonics for
    each part and degree, and the Clebsch-Gordan coefficients once a *point* instead of once an edge: the same map as
    the tensor product of every edge, for a fraction of the work. Paths that differ in what they write share their
    weights, which the linear map behind tells apart.

    Args:
        field: of the features.
        degree: the largest degree of the harmonics.
        hidden: width of the perceptron of the distance.
    """

    def __init__(self, field: Irreps, degree: int, hidden: int) -> None:
        super().__init__()
        self.field, self.degree, self.paths = field, degree, paths_of(field, degree)
        self.pairs = sorted({(i, harmonic) for i, harmonic, _ in self.paths})
        self.sizes = [field.parts[i].count for i, _ in self.pairs]
        self.radial = nn.Sequential(nn.Linear(BASIS, hidden), nn.SiLU(), nn.Linear(hidden, sum(self.sizes)))

    def forward(self, fields: Fields, harmonics: Fields, neighbours: Neighbours) -> Fields:
        """For each part all that its paths write, one behind the other.

        Args:
            fields: of the points.
            harmonics: of each degree, ``(B, N, k, 2 degree + 1)``.
            neighbours: of the points.
        """
        weights = (self.radial(neighbours.basis) * neighbours.weight[..., None]).split(self.sizes, -1)
        there = [gathered(values, neighbours.others) for values in fields]
        written: list[Fields] = [[] for _ in fields]
        for (i, harmonic), weight in zip(self.pairs, weights, strict=True):
            weighted = (weight[..., None, :] * there[i]).flatten(3)
            products = harmonics[harmonic].transpose(2, 3) @ weighted  # (B, N, 2 harmonic + 1, components and fields)
            products = products.unflatten(3, (-1, self.field.parts[i].count)).flatten(2, 3)
            targets = [o for first, second, o in self.paths if (first, second) == (i, harmonic)]
            coupling = self._coupling(i, harmonic, targets, products)
            sizes = [self.field.parts[o].size for o in targets]
            made = (products.transpose(2, 3) @ coupling.T).transpose(2, 3)  # one product of matrices, not one a point
            for o, values in zip(targets, made.split(sizes, 2), strict=True):
                written[o].append(values)
        return [torch.cat(values, 3) for values in written]

    def _coupling(self, part: int, harmonic: int, targets: Sequence[int], like: Tensor) -> Float[Tensor, "out in"]:
        """How products of harmonics and components make the components of all parts that a pair writes."""
        degrees = (self.field.parts[o].degree for o in targets)
        found = [_coefficients(self.field.parts[part].degree, harmonic, d) for d in degrees]
        tensors = [torch.tensor(numbers, dtype=like.dtype, device=like.device) for numbers in found]
        return torch.cat([own.permute(2, 1, 0).flatten(1) for own in tensors])


Convolution = Callable[[Irreps, int, int], nn.Module]

CONVOLUTIONS: dict[str, Convolution] = {"node": NodeConvolution}
"""What computes the convolution, by name: the place for faster kernels, such as those of cuequivariance."""


def convolution_named(name: str) -> Convolution:
    """What computes the convolution under a name.

    Raises:
        ValueError: if there is none.
    """
    if not isinstance(name, str) or name not in CONVOLUTIONS:
        raise ValueError(f"convolution must be one of {', '.join(CONVOLUTIONS)}; got {shown(name)}. Use 'node'.")
    return CONVOLUTIONS[name]


class IrrepsLinear(nn.Module):
    """Fields of one kind mixed among themselves, their components never: ``(B, N, m, inputs) -> (B, N, m, outputs)``.

    Args:
        inputs: fields of each kind.
        outputs: fields of each kind.
    """

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        super().__init__()
        pairs = zip(outputs, inputs, strict=True)
        self.weights = nn.ParameterList(torch.randn(o, i) / max(i, 1) ** 0.5 for o, i in pairs)

    def forward(self, fields: Fields) -> Fields:
        """The mixed fields."""
        return [functional.linear(f, w) for f, w in zip(fields, self.weights, strict=True)]


class IrrepsNorm(nn.Module):
    """A layer norm of scalars; everything else divided by the root of its mean square over the fields of a point.

    Args:
        field: of the features, whose first part are the scalars.
        epsilon: added to the mean square.
    """

    def __init__(self, field: Irreps, epsilon: float = 1e-3) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.scalars = nn.LayerNorm(field.parts[0].count)

    def forward(self, fields: Fields) -> Fields:
        """The scaled fields."""
        rest = [f * (f.square().sum(-2).mean(-1) + self.epsilon).rsqrt()[..., None, None] for f in fields[1:]]
        return [self.scalars(fields[0]), *rest]


class IrrepsLayer(nn.Module):
    """A convolution and an update of every point, both residual, gated by scalars.

    Args:
        field: of the features: scalars first.
        degree: the largest degree of the harmonics.
        convolution: what computes the convolution.
    """

    def __init__(self, field: Irreps, degree: int, convolution: str = "node") -> None:
        super().__init__()
        counts = [part.count for part in field.parts]
        self.scalars, self.gated = counts[0], counts[1:]
        self.norm, self.update_norm = IrrepsNorm(field), IrrepsNorm(field)
        self.convolution = convolution_named(convolution)(field, degree, self.scalars)
        heard = [sum(counts[i] for i, _, o in paths_of(field, degree) if o == part) for part in range(len(counts))]
        self.mixed = IrrepsLinear(heard, counts)
        self.inner, self.whole = IrrepsLinear(counts, counts), IrrepsLinear(counts, counts)
        self.gates = nn.Sequential(
            nn.Linear(sum(counts), self.scalars), nn.SiLU(), nn.Linear(self.scalars, sum(counts))
        )

    def forward(
        self, fields: Fields, harmonics: Fields, neighbours: Neighbours, mask: Bool[Tensor, "B N"] | None = None
    ) -> Fields:
        """The fields after a look at the neighbours and at the whole cloud."""
        heard = self.mixed(self.convolution(self.norm(fields), harmonics, neighbours))
        fields = [old + new for old, new in zip(fields, heard, strict=True)]
        here = self.update_norm(fields)
        # Beside what is here the mean over the cloud: their sum is long where a point lies along what the cloud points
        # at, so that an axis which few points show each alone can sharpen from layer to layer.
        whole = self.whole([masked_mean(field, mask)[:, None] for field in here])
        inner = [own + mean for own, mean in zip(self.inner(here), whole, strict=True)]
        known = torch.cat([inner[0].squeeze(-2), *(safe_norm(f, -2) for f in inner[1:])], -1)
        gates = self.gates(known).split([self.scalars, *self.gated], -1)
        rest = [old + gate[..., None, :] * new for old, gate, new in zip(fields[1:], gates[1:], inner[1:], strict=True)]
        return [fields[0] + gates[0][..., None, :], *rest]


def harmonics_of(direction: Float[Tensor, "B N k 3"], degree: int) -> Fields:
    """The harmonics of each direction, of every degree up to the largest; those of a shorter one are smaller."""
    o3 = o3_of_e3nn("a convolution of irreps")
    every = o3.spherical_harmonics(list(range(degree + 1)), direction, normalize=False, normalization="component")
    # Products of matrices want each in one piece.
    return [own.contiguous() for own in every.split([2 * d + 1 for d in range(degree + 1)], -1)]
