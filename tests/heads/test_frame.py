"""The strict head of space: the loss of a turned cloud is that of the upright one, and no cloud need be turned."""

from __future__ import annotations

import pytest
import torch

from eqmodels import create_model
from eqmodels.backbones.points.frame_averaging import FrameAveraged
from eqmodels.backbones.points.frame_canonicalised import FrameCanonicalised
from eqmodels.fields import Irreps, Scalars
from eqmodels.groups import PointGroup, random_rotations, rotation_angle
from eqmodels.heads import FrameHead, create_head
from eqmodels.objectives import check_upright, chordal_loss, frame_loss
from eqmodels.tasks import Orientations

LABELS = {"so3": Irreps("3x1"), "o3": Irreps("3x1o")}


def encoder(group: str, **options):
    network = create_model(
        f"{group}_vectors_small", width=8, layers=2, neighbours=4, global_pool="equivariant", **options
    )
    return network.double().eval()


def head_for(network) -> FrameHead:
    return create_head("frame", network.out_field, LABELS[network.group.name], hidden=8).double()


def clouds(count: int = 4) -> torch.Tensor:
    return torch.randn(count, 10, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def close(found, expected, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("group", ["so3", "o3"])
def test_the_loss_of_turned_clouds_is_that_of_upright_ones(group):
    network = encoder(group)
    head, points = head_for(network), clouds()
    turns = network.group.random(4, torch.Generator().manual_seed(3))
    upright, turned = (head.frames(network(p)) for p in (points, points @ turns.transpose(1, 2)))
    assert not upright.degenerate.any()
    close(chordal_loss(turned.matrices, turns, reduction="none"), chordal_loss(upright.matrices, reduction="none"))
    close(frame_loss(turned, turns), frame_loss(upright))
    # The gradient of the weights is the same too: training on upright clouds is training on turned ones.
    gradients = [
        torch.autograd.grad(frame_loss(head.frames(network(p)), t), head.pose.weights.weight)[0]
        for p, t in ((points, None), (points @ turns.transpose(1, 2), turns))
    ]
    close(gradients[1], gradients[0])


@pytest.mark.parametrize("group", ["so3", "o3"])
def test_the_nine_numbers_are_of_the_label_field(group):
    network = encoder(group)
    head, points = head_for(network), clouds()
    turns = network.group.random(4, torch.Generator().manual_seed(3))
    found = head(network(points))
    assert found.shape == (4, 9)
    close(head(network(points @ turns.transpose(1, 2))), head.out_field.turned(found, turns))


def test_the_chordal_loss_is_four_times_one_minus_the_cosine_and_smooth():
    first, second = random_rotations(5), random_rotations(5)
    angles = torch.deg2rad(rotation_angle(first.transpose(1, 2) @ second))
    close(chordal_loss(first, second, reduction="none"), 4 * (1 - angles.cos()))
    same = first.clone().requires_grad_()
    chordal_loss(same, first).backward()
    assert torch.equal(same.grad, torch.zeros_like(same))


def test_upright_clouds_teach_a_frame_that_holds_for_turned_ones():
    """A mug and its kin: a foot, a body, a handle in front; no turned copy is ever seen."""
    generator = torch.Generator().manual_seed(0)
    body = torch.randn(24, 16, 3, generator=generator) * torch.tensor([0.5, 0.4, 1.0])
    handle = torch.tensor([1.5, 0.0, 0.2]) + 0.2 * torch.randn(24, 5, 3, generator=generator)
    foot = torch.tensor([0.0, 0.0, -2.0]) + torch.randn(24, 5, 3, generator=generator) * torch.tensor([0.8, 0.8, 0.05])
    points = torch.cat([body, handle, foot], 1)
    network = create_model("so3_vectors_small", width=8, layers=1, neighbours=6, global_pool="equivariant")
    head = FrameHead(network.out_field, LABELS["so3"], hidden=16)
    parameters = [*network.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=0.02)
    for _ in range(50):
        optimiser.zero_grad()
        frame_loss(head.frames(network(points[:16]))).backward()
        optimiser.step()
    turns = random_rotations(8, generator, dtype=torch.float32)
    with torch.no_grad():
        found = head.frames(network(points[16:] @ turns.transpose(1, 2))).matrices
    # Of frames drawn by chance the median is 128 degrees.
    assert float(rotation_angle(turns.transpose(1, 2) @ found).median()) < 60


def test_a_degenerate_frame_is_flagged_and_leaves_the_loss_out():
    network = create_model("so3_vectors_small", width=8, layers=1, global_pool="equivariant")
    head = FrameHead(network.out_field, LABELS["so3"], hidden=8)
    solid = (PointGroup("t").matrices @ torch.tensor([0.3, 1.0, 0.2], dtype=torch.float64)).float()
    frames = head.frames(network(torch.stack([solid, torch.randn(12, 3)])))
    assert frames.degenerate.tolist() == [True, False]
    assert frames.length[0] < 1e-4 < frames.length[1]
    alone = frame_loss(head.frames(network(solid[None])))
    assert alone.item() == 0
    close(frame_loss(frames), chordal_loss(frames.matrices[1:]))


# The baseline and the control.


def test_orientations_turn_clouds_and_a_perceptron_predicts_them():
    task, points = Orientations(), clouds(6)
    labels = task.sample(6, torch.Generator().manual_seed(0))
    assert (task.num_labels, task.label_field) == (24, Scalars(24))
    turned = task.apply(points, labels)
    close(turned, torch.einsum("bij,bnj->bni", task.group.matrices[labels], points))
    assert torch.equal(task.apply(points, torch.zeros(6, dtype=torch.long)), points)
    network = create_model("pointnet", width=4).double()
    head = create_head("mlp", network.out_field, task.label_field, hidden=8).double()
    assert head(network(turned)).shape == (6, 24)
    coloured = torch.cat([points, points[..., :1]], 2)
    assert torch.equal(task.apply(coloured, labels)[..., 3:], coloured[..., 3:])


@pytest.mark.parametrize("group", ["so3", "o3"])
def test_principal_axes_make_pointnet_invariant(group):
    network = FrameAveraged(create_model("pointnet", width=4).double(), group).eval()
    points, order = clouds(), torch.randperm(10)
    turns = network.group.random(4, torch.Generator().manual_seed(0))
    moved = (points @ turns.transpose(1, 2))[:, order] + 3
    close(network(moved), network(points))
    assert network.out_field == Scalars(network(points).shape[1])
    reflected = torch.allclose(network(-points), network(points), rtol=0, atol=1e-8)
    assert reflected == (group == "o3")


@pytest.mark.parametrize("group", ["so3", "o3"])
def test_a_predicted_frame_makes_pointnet_invariant(group):
    pose = create_model(f"{group}_vectors_small", width=8, layers=1, neighbours=4, global_pool="canonical")
    network = FrameCanonicalised(create_model("pointnet", width=4), pose).double().eval()
    points, order = clouds(), torch.randperm(10)
    turns = network.group.random(4, torch.Generator().manual_seed(0))
    moved = (points @ turns.transpose(1, 2))[:, order] + 3
    close(network(moved), network(points))
    assert network.out_field == Scalars(network(points).shape[1])
    mask = torch.ones(4, 12, dtype=torch.bool)
    mask[:, 10:] = False
    padded = torch.cat([points, torch.full((4, 2, 3), 7.0).double()], 1)
    close(network(padded, mask=mask), network(points))


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (
            lambda: FrameCanonicalised(create_model("pointnet"), create_model("so3_vectors_small")),
            ValueError,
            r"pose must predict frames; .* global_pool='invariant'\. Build it with global_pool='canonical'\.",
        ),
        (
            lambda: FrameCanonicalised(
                create_model("pointnet", in_chans=4), create_model("so3_vectors_small", global_pool="canonical")
            ),
            ValueError,
            r"pose must take the network's points, in_chans=4; got 3\.",
        ),
        (lambda: FrameHead(Irreps("4x0"), LABELS["so3"]), ValueError, r"a frame is made of vectors"),
        (lambda: FrameHead(Irreps("4x0+2x1"), LABELS["o3"]), ValueError, r"label_field 3x1 .* got 3x1o"),
        (lambda: FrameHead(Irreps("4x0+2x1"), Scalars(24)), ValueError, r"Use head='mlp' for other labels"),
        (lambda: check_upright(False, "qm9"), ValueError, r"got 'qm9', whose clouds are in random poses"),
        (lambda: chordal_loss(torch.zeros(2, 9)), ValueError, r"frames must be floating point \(batch, 3, 3\)"),
        (lambda: chordal_loss(torch.eye(3)[None], 2 * torch.eye(3)[None]), ValueError, r"targets must be orthogonal"),
        (lambda: frame_loss(torch.eye(3)[None]), TypeError, r"frames must be Frames"),
        (lambda: Orientations("c4"), ValueError, r"is one of t, o, i"),
        (
            lambda: Orientations().apply(clouds(), torch.full((4,), 24)),
            ValueError,
            r"of 0 .. 23 for each of 4",
        ),
    ],
)
def test_what_does_not_fit_gets_a_sentence(call, kind, sentence):
    with pytest.raises(kind, match=sentence):
        call()
