"""The strict head: its logits turn with the image, and so no image needs to be turned in training."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

from eqmodels import PlanarGroup, create_model
from eqmodels.fields import Regular
from eqmodels.heads import EquivariantHead, create_head
from eqmodels.tasks import GroupTask, create_task

TASKS = {
    "horizontal_flip": create_task("horizontal_flip"),
    "vertical_flip": create_task("vertical_flip"),
    "rotation": create_task("rotation"),
    "dihedral": create_task("dihedral"),
    "d2": GroupTask("d2", "d2"),
    "half_turn": GroupTask("half_turn", "c4", (0, 2)),
    "diagonal": GroupTask("diagonal", "d4", (0, 5)),
    "unordered": GroupTask("unordered", "d4", (0, 6, 2, 4)),
}
BACKBONES = ("c4", "d4", "c8", "d2", "d8")
CASES = [
    (backbone, task)
    for backbone in BACKBONES
    for task in TASKS
    if PlanarGroup.parse(backbone).contains(TASKS[task].group)
]
THROUGH_BACKBONES = [
    ("c4_resnet18s", "rotation"),
    ("d4_resnet18s", "rotation"),
    ("d4_resnet18s", "dihedral"),
    ("d4_resnet18s", "vertical_flip"),
    ("d4_wide_resnet16_8", "diagonal"),
    ("c8_resnet18s", "rotation"),
    ("d2_resnet18s", "vertical_flip"),
    ("d2_wide_resnet16_8", "d2"),
    ("d8_resnet18s", "unordered"),
]
each_case = pytest.mark.parametrize(("backbone", "task"), CASES)
through_a_backbone = pytest.mark.parametrize(("name", "task"), THROUGH_BACKBONES)


def head_for(group: str, task: str, fields: int = 3) -> EquivariantHead:
    """A head in float64 with every parameter drawn afresh."""
    head = EquivariantHead(Regular(group, fields), labels_of(TASKS[task]), hidden=48).double()
    with torch.no_grad():
        for value in head.parameters():
            value.normal_()
    return head


def labels_of(task: GroupTask) -> Regular:
    return Regular(task.group, 1, task.elements)


def moved_logits(task: GroupTask, label: int, logits: torch.Tensor) -> torch.Tensor:
    """``logit_h(k x) = logit_{k^-1 h}(x)`` for the k of the label, and every h of the task."""
    group, k = task.group, task.group.inverse(task.elements[label])
    return logits[:, [task.elements.index(group.compose(k, h)) for h in task.elements]]


# The law.


@each_case
def test_logits_move_exactly_with_the_features(backbone, task):
    head, group, asked = head_for(backbone, task), PlanarGroup.parse(backbone), TASKS[task]
    features = torch.randn(5, 3 * group.order, dtype=torch.float64)
    with torch.no_grad():
        logits = head(features)
        assert logits.shape == (5, asked.num_labels)
        assert float(logits.std(1).min()) > 1e-2, "else the law says nothing"
        for label, element in enumerate(asked.elements):
            moved = head(group.permute_fibre(group.embed(asked.group, element), features))
            torch.testing.assert_close(moved, moved_logits(asked, label, logits), rtol=1e-12, atol=1e-12)


@each_case
def test_the_declared_field_of_the_logits_is_theirs(backbone, task):
    head, group, asked = head_for(backbone, task), PlanarGroup.parse(backbone), TASKS[task]
    features = torch.randn(5, head.in_field.channels, dtype=torch.float64)
    assert head.out_field.rows == asked.elements
    with torch.no_grad():
        logits = head(features)
        for label, element in enumerate(asked.elements):
            expected = head.out_field.transform(asked.group, element, logits)
            assert torch.equal(expected, moved_logits(asked, label, logits))
            moved = head(head.in_field.transform(group, group.embed(asked.group, element), features))
            torch.testing.assert_close(moved, expected, rtol=1e-12, atol=1e-12)


@through_a_backbone
def test_logits_move_exactly_with_the_image(name, task, randomised):
    asked = TASKS[task]
    group = PlanarGroup.parse(name.split("_")[0])
    model = randomised(create_model(name, width=2 * group.order, num_classes=0, global_pool="regular")).double().eval()
    head = head_for(group.name, task, model.num_features // group.order)
    images = torch.randn(2, 3, 15, 15, dtype=torch.float64)
    with torch.no_grad():
        logits = head(model(images))
        scale = float(logits.abs().max())
        assert float(logits.std(1).min()) > 1e-6 * scale
        for label in range(asked.num_labels):
            moved = head(model(asked.transform(images, label, None)))
            torch.testing.assert_close(moved, moved_logits(asked, label, logits), rtol=0, atol=1e-10 * scale)


@each_case
def test_the_most_likely_label_moves_with_the_image(backbone, task):
    """If the upright image has label 0, the image moved by an element has the element's label."""
    head, group, asked = head_for(backbone, task), PlanarGroup.parse(backbone), TASKS[task]
    features = torch.randn(200, 3 * group.order, dtype=torch.float64)
    with torch.no_grad():
        upright = features[head(features).argmax(1) == 0]
        assert len(upright)
        for label, element in enumerate(asked.elements):
            moved = group.permute_fibre(group.embed(asked.group, element), upright)
            assert (head(moved).argmax(1) == label).all()


def test_flips_are_summed_out_for_a_rotation_task():
    head, d4 = head_for("d4", "rotation"), PlanarGroup.parse("d4")
    features = torch.randn(4, 24, dtype=torch.float64)
    with torch.no_grad():
        pose = head.pose(features)
        logits = head(features)
    flip = d4.rotations
    expected = [torch.log(pose[:, r].exp() + pose[:, d4.compose(r, flip)].exp()) for r in range(4)]
    torch.testing.assert_close(logits, torch.stack(expected, 1), rtol=1e-12, atol=1e-12)
    # The probability of a turn is that of the turn alone and of the turn after a flip.
    probability = pose.softmax(1)
    summed = torch.stack([probability[:, r] + probability[:, d4.compose(r, flip)] for r in range(4)], 1)
    torch.testing.assert_close(logits.softmax(1), summed, rtol=1e-12, atol=1e-12)


@each_case
def test_every_element_counts_for_one_label(backbone, task):
    cosets = head_for(backbone, task).cosets
    assert len(cosets) == TASKS[task].num_labels
    assert sorted(element for row in cosets for element in row) == list(PlanarGroup.parse(backbone).elements)


@pytest.mark.parametrize("name", ["c4", "d4"])
def test_a_task_of_the_whole_group_reads_the_pose_itself(name):
    head = EquivariantHead(Regular(name, 2), Regular(name, 1)).double()
    features = torch.randn(3, 2 * head.group.order, dtype=torch.float64)
    torch.testing.assert_close(head(features), head.pose(features), rtol=1e-14, atol=1e-14)


# No image needs to be turned.


def loss_and_gradients(model, head, images, labels):
    loss = F.cross_entropy(head(model(images)), labels)
    loss.backward()
    named = [*model.named_parameters(), *((f"head.{name}", value) for name, value in head.named_parameters())]
    return loss.detach(), {name: value.grad for name, value in named}


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("c4_resnet18s", "rotation"),
        ("d4_resnet18s", "rotation"),
        ("d4_wide_resnet16_8", "dihedral"),
        ("d2_resnet18s", "vertical_flip"),
        ("c8_resnet18s", "rotation"),
    ],
)
def test_loss_and_gradients_of_upright_images_are_those_of_moved_ones(name, task, norm, randomised):
    """Batch-norm in train mode, and every image of the batch moved by an element of its own."""
    asked = TASKS[task]
    group = PlanarGroup.parse(name.split("_")[0])
    options = {"width": group.order, "num_classes": 0, "global_pool": "regular", "norm": norm}
    model = randomised(create_model(name, **options)).double().train()
    head = EquivariantHead(model.out_field, labels_of(asked), hidden=32).double()
    twins = copy.deepcopy((model, head))
    images = torch.randn(2 * asked.num_labels, 3, 12, 12, dtype=torch.float64)
    labels = torch.arange(len(images)) % asked.num_labels
    upright = loss_and_gradients(model, head, images, torch.zeros_like(labels))
    moved = loss_and_gradients(*twins, asked.apply(images, labels), labels)
    torch.testing.assert_close(moved[0], upright[0], rtol=1e-10, atol=1e-12)
    for parameter, gradient in upright[1].items():
        scale = float(gradient.abs().max())
        difference = float((moved[1][parameter] - gradient).abs().max())
        assert difference <= 1e-10 * max(scale, 1e-3), parameter
    assert max(float(gradient.abs().max()) for gradient in upright[1].values()) > 1e-3
    for (key, value), other in zip(model.state_dict().items(), twins[0].state_dict().values(), strict=True):
        torch.testing.assert_close(other, value, rtol=1e-10, atol=1e-12, msg=lambda m, k=key: f"{k}: {m}")


def test_with_another_head_they_are_not():
    """The control: the law is the head's."""
    asked = TASKS["rotation"]
    model = create_model("c4_resnet18s_w4", num_classes=0, global_pool="regular").double()
    head = create_head("mlp", model.out_field, Regular("c4", 1), hidden=32).double()
    images, labels = torch.randn(8, 3, 12, 12, dtype=torch.float64), torch.arange(8) % 4
    upright, _ = loss_and_gradients(model, head, images, torch.zeros_like(labels))
    moved, _ = loss_and_gradients(model, head, asked.apply(images, labels), labels)
    assert abs(float(moved - upright)) > 1e-4


def test_the_head_feeds_canonical_pooling(randomised):
    """The pose that the head learned turns the features of a moved image back to those of the upright one."""
    model = randomised(create_model("d4_resnet18s_w8", num_classes=0, global_pool="regular")).double().eval()
    head = head_for("d4", "dihedral", model.num_features // 8)
    images = torch.randn(2, 3, 14, 14, dtype=torch.float64)
    model.reset_classifier(0, "canonical", pose=head.pose)
    with torch.no_grad():
        upright = model(images)
        for label in range(8):
            moved = model(TASKS["dihedral"].transform(images, label, None))
            torch.testing.assert_close(moved, upright, rtol=0, atol=1e-10 * float(upright.abs().max()))


def test_its_state_and_its_print():
    head = EquivariantHead(Regular("d4", 3), Regular("c4", 1), hidden=16)
    assert list(head.state_dict()) == ["pose.hidden.weight", "pose.hidden.bias", "pose.logits.weight"]
    assert str(head).startswith("EquivariantHead(\n  D4, labels=4")
    assert EquivariantHead(Regular("d4", 3), Regular("c4", 1), hidden=17).pose.hidden.out_fields == 2


def test_what_all_logits_have_in_common_has_no_gradient_under_autocast_either():
    head, features = head_for("c4", "rotation").float(), torch.randn(32, 12)
    with torch.autocast("cpu", torch.bfloat16):
        logits = head(features)
    assert torch.equal(logits, head(features))  # to every digit of float32
    F.cross_entropy(logits, torch.zeros(32, dtype=torch.long)).backward()
    gradient = head.pose.logits.weight.grad  # (elements, 1, fields)
    # A weight that is the same for all elements adds the same to all logits. In bfloat16 this was 1e-3.
    assert gradient.mean(0).norm() < 1e-6 * gradient.norm()
