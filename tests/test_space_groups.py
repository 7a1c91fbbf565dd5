"""SO(3), O(3) and their finite subgroups are groups, and rotations as numbers are the rotations that they say."""

from __future__ import annotations

import sys

import pytest
import torch

from eqmodels.groups import (
    PlanarGroup,
    PointGroup,
    SpaceGroup,
    axis_angle_matrix,
    check_orthogonal,
    euler_matrix,
    matrix_from_quaternion,
    matrix_from_six,
    nearest_rotation,
    point,
    quaternion_from_matrix,
    random_rotations,
    rotation_angle,
    six_from_matrix,
    wigner_d,
)
from eqmodels.groups.wigner import o3_of_e3nn

SO3, O3 = SpaceGroup(), SpaceGroup(reflections=True)
ORDERS = {"t": 12, "o": 24, "i": 60, "td": 24, "th": 24, "oh": 48, "ih": 120}
DEGREES = [0, 1, 2, 3, 4]
IDENTITY = torch.eye(3, dtype=torch.float64)


def close(found, expected, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


# Finite groups.


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_a_finite_group_has_its_order_and_satisfies_the_axioms(name, order):
    group = PointGroup(name)
    matrices = group.matrices
    assert group.order == len(matrices) == len(group.elements) == order
    products = torch.tensor([[group.compose(g, h) for h in group.elements] for g in group.elements])
    assert all(len(set(row)) == order for row in (*products.tolist(), *products.T.tolist()))
    close(matrices[products], torch.einsum("gij,hjk->ghik", matrices, matrices))
    for g in group.elements:
        assert group.compose(g, group.inverse(g)) == group.identity == group.compose(group.inverse(g), g)
        assert group.compose(g, group.identity) == g
        assert group.reflected(g) == bool(torch.linalg.det(matrices[g]) < 0)
    close(matrices @ matrices.transpose(1, 2), IDENTITY.expand(order, 3, 3))
    assert sum(map(group.reflected, group.elements)) == (order // 2 if len(name) == 2 else 0)


@pytest.mark.parametrize(
    ("name", "corners"),
    [
        ("td", [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]),
        ("oh", [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]]),
    ],
)
def test_a_solid_is_left_as_it_is_by_its_group(name, corners):
    corners = torch.tensor(corners, dtype=torch.float64)
    for matrix in PointGroup(name).matrices:
        distances = torch.cdist(corners @ matrix.T, corners)
        close(distances.amin(1), torch.zeros(len(corners), dtype=torch.float64))


def test_the_icosahedron_is_left_as_it_is():
    phi = (1 + 5**0.5) / 2
    face = torch.tensor([[0, a, b * phi] for a in (1, -1) for b in (1, -1)], dtype=torch.float64)
    corners = torch.cat([face.roll(shift, 1) for shift in range(3)])
    for matrix in PointGroup("ih").matrices:
        close(torch.cdist(corners @ matrix.T, corners).amin(1), torch.zeros(12, dtype=torch.float64), 1e-7)


# The continuous groups.


def test_drawn_elements_are_orthogonal_and_spread_evenly():
    rotations = SO3.random(4000, torch.Generator().manual_seed(0))
    close(rotations @ rotations.transpose(1, 2), IDENTITY.expand(4000, 3, 3))
    close(torch.linalg.det(rotations), torch.ones(4000, dtype=torch.float64))
    # By Haar's measure the mean matrix is zero, and the mean angle is pi/2 + 2/pi.
    assert float(rotations.mean(0).abs().max()) < 0.04
    assert float(rotation_angle(rotations).mean()) == pytest.approx(126.5, abs=1.5)
    determinants = torch.linalg.det(O3.random(400, torch.Generator().manual_seed(0)))
    assert 150 < int((determinants < 0).sum()) < 250


def test_the_same_seed_draws_the_same_rotations():
    first, second = (random_rotations(3, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)


def test_an_element_is_said_in_words():
    quarter = axis_angle_matrix(torch.tensor([0.0, 0, 2], dtype=torch.float64), 90.0)
    assert SO3.describe(quarter) == "90° about (0.00, 0.00, 1.00)"
    assert O3.describe(-quarter) == "inversion, then 90° about (0.00, 0.00, 1.00)"
    assert PointGroup("o").describe(0).startswith("0° about")


def test_groups_know_their_names_and_what_they_contain():
    assert (SO3.name, str(SO3), O3.name, str(O3)) == ("so3", "SO(3)", "o3", "O(3)")
    assert SpaceGroup.parse("O3") == O3
    assert SpaceGroup.parse(SO3) is SO3
    assert O3.contains(SO3)
    assert not SO3.contains(O3)


def test_a_group_of_space_moves_no_images():
    assert PlanarGroup(4).counterpart(SO3, IDENTITY) is None


# Rotations as numbers.


def test_every_kind_of_numbers_gives_its_rotation_back():
    rotations = random_rotations(50)
    close(matrix_from_quaternion(quaternion_from_matrix(rotations)), rotations)
    close(matrix_from_six(six_from_matrix(rotations)), rotations)
    close(nearest_rotation(rotations), rotations)


def test_quaternions_cover_rotations_twice():
    quaternions = torch.randn(20, 4, dtype=torch.float64)
    close(matrix_from_quaternion(quaternions), matrix_from_quaternion(-quaternions))
    unit = quaternion_from_matrix(matrix_from_quaternion(quaternions))
    close((unit * torch.nn.functional.normalize(quaternions, dim=1)).sum(1).abs(), torch.ones(20, dtype=torch.float64))
    assert bool((unit[:, 0] >= 0).all())


def test_half_turns_keep_their_digits_as_quaternions():
    """Where w is 0, formulas that divide by it give noise."""
    turns = axis_angle_matrix(torch.randn(20, 3, dtype=torch.float64), 180.0)
    close(matrix_from_quaternion(quaternion_from_matrix(turns)), turns)


@pytest.mark.parametrize(
    "make", [matrix_from_six, lambda numbers: nearest_rotation(numbers[..., :9].unflatten(-1, (3, 3)))]
)
def test_what_a_network_puts_out_becomes_a_rotation(make):
    numbers = torch.randn(30, 6 if make is matrix_from_six else 9, dtype=torch.float64)
    rotations = make(numbers)
    close(rotations @ rotations.transpose(1, 2), IDENTITY.expand(30, 3, 3))
    close(torch.linalg.det(rotations), torch.ones(30, dtype=torch.float64))


def test_both_continuous_kinds_turn_with_their_numbers():
    turn = random_rotations(1)[0]
    vectors, nine = torch.randn(9, 2, 3, dtype=torch.float64), torch.randn(9, 3, 3, dtype=torch.float64)
    close(matrix_from_six((vectors @ turn.T).flatten(1)), turn @ matrix_from_six(vectors.flatten(1)))
    close(nearest_rotation(turn @ nine), turn @ nearest_rotation(nine))


def test_the_nearest_rotation_is_nearer_than_any_other():
    matrices = torch.randn(5, 1, 3, 3, dtype=torch.float64)
    found = (nearest_rotation(matrices) - matrices).square().sum((-2, -1))
    assert bool((found <= (random_rotations(300) - matrices).square().sum((-2, -1))).all())


def test_angles_are_exact_where_they_are_small_and_where_they_are_large():
    axis = torch.tensor([1.0, 2, -1], dtype=torch.float64)
    for degrees in (0.0, 1e-6, 37.0, 179.999999, 180.0):
        assert float(rotation_angle(axis_angle_matrix(axis, degrees))) == pytest.approx(degrees, abs=1e-9)


def test_euler_angles_turn_about_z_then_y_then_x():
    axes = IDENTITY
    about = [axis_angle_matrix(axes[i], degrees) for i, degrees in ((0, 30.0), (1, 20.0), (2, 10.0))]
    angles = torch.tensor([10.0, 20, 30], dtype=torch.float64)
    close(euler_matrix(angles), about[0] @ about[1] @ about[2])


# Wigner's matrices.


@pytest.mark.parametrize("degree", DEGREES)
def test_wigner_matrices_are_an_orthogonal_homomorphism(degree):
    first, second = random_rotations(8), random_rotations(8)
    matrices = wigner_d(degree, first)
    assert matrices.shape == (8, 2 * degree + 1, 2 * degree + 1)
    close(wigner_d(degree, first @ second), matrices @ wigner_d(degree, second))
    identity = torch.eye(2 * degree + 1, dtype=torch.float64)
    close(matrices @ matrices.transpose(1, 2), identity.expand_as(matrices))
    close(wigner_d(degree, IDENTITY), identity)


@pytest.mark.parametrize("degree", DEGREES)
def test_they_turn_the_spherical_harmonics_of_e3nn(degree):
    from e3nn import o3

    points, turn = torch.randn(40, 3, dtype=torch.float64), random_rotations(1)[0]
    here, there = (o3.spherical_harmonics(degree, p, normalize=True) for p in (points, points @ turn.T))
    close(there, here @ wigner_d(degree, turn).T, 1e-6 if degree > 2 else 1e-12)  # whose polynomials e3nn rounds


def test_they_are_exact_in_float32_and_differentiable_at_the_identity():
    turns = random_rotations(8)
    close(wigner_d(4, turns.float()).double(), wigner_d(4, turns), 2e-6)
    generator = torch.zeros(3, 3, dtype=torch.float64)
    generator[0, 1], generator[1, 0] = -1, 1
    slope = torch.func.jvp(lambda m: wigner_d(2, m), (IDENTITY,), (generator,))[1]
    step = 1e-6
    turned = axis_angle_matrix(IDENTITY[2], float(torch.rad2deg(torch.tensor(step, dtype=torch.float64))))
    close(slope, (wigner_d(2, turned) - wigner_d(2, turned.T)) / (2 * step), 1e-8)
    assert float(slope.norm()) > 1


def test_degrees_up_to_one_need_no_e3nn(monkeypatch):
    monkeypatch.setitem(sys.modules, "e3nn", None)
    monkeypatch.setitem(sys.modules, "e3nn.o3", None)
    assert torch.equal(wigner_d(1, torch.eye(3)), torch.eye(3))
    with pytest.raises(ModuleNotFoundError, match=r"degree 11 needs e3nn, .* pip install e3nn"):
        o3_of_e3nn("degree 11")


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda: SpaceGroup.parse("so4"), ValueError, r"is named so3 .* got 'so4'. Use 'so3'"),
        (lambda: PointGroup("d3"), ValueError, r"is one of t, o, i, td, th, oh, ih; got 'd3'"),
        (lambda: PointGroup("o").matrix(24), ValueError, r"an integer from 0 to 23; got 24"),
        (lambda: SO3.matrix(-torch.eye(3)), ValueError, r"does not reflect; .* Use the group o3"),
        (lambda: SO3.matrix(1), TypeError, r"is a matrix, a tensor of 3 by 3; got 1"),
        (
            lambda: check_orthogonal("turns", 2 * torch.eye(3)),
            ValueError,
            r"turns must be orthogonal, .* difference of 3",
        ),
        (lambda: check_orthogonal("turns", torch.eye(3) / 0), ValueError, r"turns must be orthogonal"),
        (lambda: matrix_from_quaternion(torch.zeros(2, 3)), ValueError, r"quaternions must have the shape \(..., 4\)"),
        (lambda: matrix_from_six(torch.zeros(6, dtype=torch.long)), TypeError, r"numbers must be float32 or float64"),
        (lambda: wigner_d(12, torch.eye(3)), ValueError, r"degree must be at most 11; got 12"),
    ],
)
def test_what_is_no_rotation_gets_a_sentence(call, kind, sentence):
    with pytest.raises(kind, match=sentence):
        call()


@pytest.mark.parametrize("kind", ["o", "td"])
def test_a_group_is_found_on_the_cpu_whatever_device_networks_are_built_on(kind):
    expected = point._matrices(kind), point._products(kind)
    point._matrices.cache_clear()
    point._products.cache_clear()
    with torch.device("meta"):
        assert (point._matrices(kind), point._products(kind)) == expected
