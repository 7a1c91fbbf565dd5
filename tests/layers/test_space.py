"""Layers of points: the convolution is the tensor product of every edge, neighbours are nearest, clouds are padded."""

from __future__ import annotations

import pytest
import torch

from eqmodels.fields import Irreps, Scalars
from eqmodels.layers.space import FramePredictor, PointPool, neighbours_of, pad_clouds
from eqmodels.layers.space.irreps_layers import NodeConvolution, convolution_named, harmonics_of, paths_of
from eqmodels.layers.space.neighbours import gathered


def close(found, expected, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("text", ["3x0+2x1+1x2", "3x0e+2x1o+1x2e"])
def test_coefficients_once_a_point_are_the_tensor_product_of_every_edge(text):
    from e3nn import o3

    field = Irreps(text)
    theirs = o3.Irreps("3x0e+2x1o+1x2e") if "e" in text else None
    points = torch.randn(1, 6, 3, dtype=torch.float64)
    neighbours = neighbours_of(points, 3, None)
    harmonics = harmonics_of(neighbours.direction, 2)
    features = [torch.randn(1, 6, part.size, part.count, dtype=torch.float64) for part in field.parts]
    convolution = NodeConvolution(field, 2, 8).double()
    found = convolution(features, harmonics, neighbours)
    weights = (convolution.radial(neighbours.basis) * neighbours.weight[..., None]).split(convolution.sizes, -1)
    written = dict.fromkeys(range(3), 0)
    for (i, harmonic), weight in zip(convolution.pairs, weights, strict=True):
        there = gathered(features[i], neighbours.others)
        for o in [o for first, second, o in convolution.paths if (first, second) == (i, harmonic)]:
            first, second, third = field.parts[i].degree, harmonic, field.parts[o].degree
            numbers = o3.wigner_3j(first, second, third, dtype=torch.float64) * (2 * third + 1) ** 0.5
            edges = torch.einsum("bnku,bnkpu,bnkq,pqm->bnmu", weight, there, harmonics[harmonic], numbers)
            start = written[o]
            close(found[o][..., start : start + edges.shape[3]], edges)
            written[o] += edges.shape[3]
    assert [values.shape[3] for values in found] == list(written.values())
    if theirs is not None:  # parity forbids what makes an axial vector of two polar ones
        assert (1, 1, 1) not in paths_of(field, 2)
    else:
        assert (1, 1, 1) in paths_of(field, 2)


def test_neighbours_are_the_nearest_others():
    points = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 3, 0], [0, 0, 10]]])
    found = neighbours_of(points, 2, None)
    assert found.others[0, 0].tolist() == [1, 2]
    close(found.direction[0, 0], torch.tensor([[1.0, 0, 0], [0, 1, 0]]), 1e-4)
    assert found.weight[0, 0, 0] > found.weight[0, 0, 1] > 0


def test_the_weight_of_the_last_neighbour_falls_to_zero_where_the_next_is_as_near():
    far = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 2]]], dtype=torch.float64)
    close(neighbours_of(far, 2, None).weight[0, 0, 1], torch.tensor(0.0, dtype=torch.float64))


def test_masked_points_and_points_that_are_not_there_are_no_neighbours():
    points, mask = pad_clouds([torch.randn(2, 3), torch.randn(5, 3)])
    found = neighbours_of(points, 3, mask)
    assert found.weight[0, :2, 1:].eq(0).all()
    assert found.weight[0, :2, 0].gt(0).all()
    assert neighbours_of(torch.zeros(1, 1, 3), 3, None).weight.shape == (1, 1, 0)


def test_a_frame_needs_vectors_and_canonical_features_a_frame():
    with pytest.raises(ValueError, match="a frame is made of vectors among the features"):
        FramePredictor(Irreps("4x0e+2x1e"))  # which the inversion leaves as they are
    with pytest.raises(ValueError, match="a frame is made of vectors among the features"):
        FramePredictor(Scalars(4))
    with pytest.raises(ValueError, match="pose is what canonical features are turned back by"):
        PointPool(Irreps("2x0+2x1"), "canonical")
    with pytest.raises(ValueError, match="convolution must be one of node"):
        convolution_named("fast")
