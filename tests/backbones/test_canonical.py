"""Canonical pooling in every family: exactly invariant features as long as the regular ones."""

from __future__ import annotations

import copy
import pickle
import re

import pytest
import torch

from eqmodels import create_model
from eqmodels.evaluation import assert_equivariant, equivariance_report
from eqmodels.layers import pose_predictor

MODES = ("canonical", "canonical-soft")
FAMILIES = [
    ("c4_resnet18s_w8", {}),
    ("d4_resnet18_w8", {}),
    ("c2_resnet18s_w4", {}),
    ("d1_resnet18s_w4", {}),
    ("d2_wide_resnet16_8_w8", {}),
    ("d4_wide_resnet16_8_w8", {"norm": "layer"}),
    ("c8_resnet18s_w8", {}),
    ("d8_wide_resnet16_8_w16", {"restrict": ("d8", "d4", "d1")}),
    ("c4_resnet50s_w4", {}),
    ("c1_resnet18s_w4", {}),
    ("resnet18s_w4", {}),
]
POSE = ["global_pool.pose.hidden.weight", "global_pool.pose.hidden.bias", "global_pool.pose.logits.weight"]
each_family = pytest.mark.parametrize(("name", "options"), FAMILIES, ids=str)
each_mode = pytest.mark.parametrize("mode", MODES)


def build(randomised, name, mode="canonical", **options):
    """The network in float64, its poses far from a tie."""
    model = randomised(create_model(name, **({"num_classes": 0} | options), global_pool=mode)).double().eval()
    with torch.no_grad():
        for parameter in model.global_pool.pose.parameters():
            parameter.normal_()
    return model


@each_family
@each_mode
def test_features_do_not_change_when_the_image_moves(name, options, mode, randomised):
    model = build(randomised, name, mode, **options)
    images = torch.randn(2, 3, 14, 17, dtype=torch.float64)
    with torch.no_grad():
        features = model(images)
        assert features.shape == (2, model.head_hidden_size) == (2, model.feature_info[-1]["num_chs"])
        assert float((features[0] - features[1]).norm()) > 1e-6 * float(features.norm())
        for g in model.group.exact_elements:
            moved = model(model.group.act(g, images))
            torch.testing.assert_close(moved, features, rtol=0, atol=1e-10 * float(features.abs().max()))


@each_family
def test_features_are_the_regular_ones_turned_back(name, options, randomised):
    model = build(randomised, name, **options)
    images, group = torch.randn(3, 3, 13, 13, dtype=torch.float64), model.group
    with torch.no_grad():
        canonical = model(images)
        predicted = copy.deepcopy(model.global_pool.pose)
        model.reset_classifier(0, "regular")
        regular = model(images)
        poses = predicted(regular).argmax(1).tolist()
    for image, g in enumerate(poses):
        expected = group.permute_fibre(group.inverse(g), regular[image : image + 1])
        torch.testing.assert_close(canonical[image : image + 1], expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["d4_resnet18s_w8", "c4_wide_resnet16_8_w8"])
@each_mode
def test_symmetric_images_are_invariant_too(name, mode, randomised):
    """A tie of poses, which rounding decides."""
    model = build(randomised, name, mode)
    group, images = model.group, torch.randn(2, 3, 12, 12, dtype=torch.float64)
    for symmetry in ([0, 2], list(group.exact_elements)):
        symmetric = torch.stack([group.act(g, images) for g in symmetry]).mean(0)
        with torch.no_grad():
            features = model(symmetric)
            for g in group.exact_elements:
                moved = model(group.act(g, symmetric))
                torch.testing.assert_close(moved, features, rtol=0, atol=1e-10 * float(features.abs().max()))


@pytest.mark.parametrize("name", ["c4_resnet18s_w8", "d2_wide_resnet16_8_w4"])
@each_mode
def test_the_equivariance_report_knows_them(name, mode):
    model = create_model(name, num_classes=3, global_pool=mode)
    assert_equivariant(model, size=(15, 20))
    report = equivariance_report(model, size=16, angles=())
    pooled = [error for error in report.layers if error.layer in ("global_pool", "output")]
    assert {error.layer for error in pooled} == {"global_pool", "output"}
    assert max(error.error for error in pooled if error.exact) < 1e-10
    assert {error.layer for error in report.layers} >= {"global_pool.pose.hidden", "global_pool.pose.logits"}


def test_a_broken_pose_is_seen():
    """The control: features turned back by something that does not turn with the image."""
    model = create_model("c4_resnet18s_w8", num_classes=0, global_pool="canonical")
    torch.nn.init.normal_(model.global_pool.pose.logits.weight)

    class Lopsided(torch.nn.Module):
        def forward(self, logits):
            return logits + 10 * torch.arange(4).to(logits)

    model.global_pool.pose.add_module("lopsided", Lopsided())
    with pytest.raises(AssertionError, match="worst of its layers is"):
        assert_equivariant(model, size=16)


@pytest.mark.escnn
def test_the_escnn_backend_has_them_and_hands_its_pose_over(randomised):
    from eqmodels.backbones.escnn_weights import from_escnn, to_escnn

    model = build(randomised, "c4_resnet18s_w4", backend="escnn", num_classes=3).float()
    images = torch.randn(2, 3, 15, 15)
    native = from_escnn(model)
    back = to_escnn(native)
    with torch.no_grad():
        expected = model(images)
        scale = float(expected.abs().max())
        for g in model.group.elements:
            moved = model(model.group.act(g, images))
            torch.testing.assert_close(moved, expected, rtol=0, atol=1e-4 * scale)
        for twin in (native, back):
            assert torch.equal(twin.global_pool.pose.logits.weight, model.global_pool.pose.logits.weight)
            torch.testing.assert_close(twin(images), expected, rtol=0, atol=1e-4 * scale)
    assert native.global_pool.pose.logits.weight.data_ptr() != model.global_pool.pose.logits.weight.data_ptr()


# State.


@each_mode
def test_the_pose_is_part_of_the_state(mode, randomised):
    model = build(randomised, "c4_resnet18s_w8", mode, num_classes=3)
    assert [key for key in model.state_dict() if key.startswith("global_pool")] == POSE
    other = create_model("c4_resnet18s_w8", num_classes=3, global_pool=mode).double().eval()
    other.load_state_dict(model.state_dict())
    images = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    copies = (other, copy.deepcopy(model), pickle.loads(pickle.dumps(model)))
    with torch.no_grad():
        assert all(torch.equal(twin(images), model(images)) for twin in copies)
    for twin in copies:
        assert twin.global_pool.pose is not model.global_pool.pose


def test_other_poolings_have_no_state():
    for pool in ("invariant", "regular", "invariant+regular"):
        state = create_model("c4_resnet18s_w8", global_pool=pool).state_dict()
        assert not [key for key in state if key.startswith("global_pool")]


# Switching.


@each_mode
def test_a_network_becomes_canonical_by_a_pose_and_another_again(mode, randomised):
    model = randomised(create_model("d4_resnet18s_w8", num_classes=3)).double().eval()
    pose = pose_predictor(model.group, 8, hidden=32).double()
    images = torch.randn(2, 3, 14, 14, dtype=torch.float64)
    model.reset_classifier(5, mode, pose=pose)
    assert model.global_pool.mode == mode
    assert model.global_pool.pose is pose
    assert model.fc.in_features == model.head_hidden_size == 64
    with torch.no_grad():
        scores = model(images)
        assert scores.shape == (2, 5)
        for g in model.group.elements:
            moved = model(model.group.act(g, images))
            torch.testing.assert_close(moved, scores, rtol=0, atol=1e-10 * float(scores.abs().max()))
    other = next(name for name in MODES if name != mode)
    model.reset_classifier(2, other)
    assert model.global_pool.pose is pose, "one canonical pooling takes the other's pose"
    model.reset_classifier(4)
    assert (model.global_pool.mode, model.global_pool.pose) == (other, pose)
    replacement = pose_predictor(model.group, 8).double()
    model.reset_classifier(4, pose=replacement)
    assert (model.global_pool.mode, model.global_pool.pose) == (other, replacement)
    model.reset_classifier(4, "invariant")
    assert model.fc.in_features == 8
    assert not [key for key in model.state_dict() if "pose" in key]


def test_without_a_pose_a_network_is_not_made_canonical():
    model = create_model("c4_resnet18s_w8", num_classes=3)
    before = model.fc, model.global_pool
    message = (
        "global_pool='canonical' reads a predicted pose and needs the module that predicts it; got "
        "pose=None. Pass the pose of an equivariant E-SSL head, or pose_predictor(group, fields)."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        model.reset_classifier(3, "canonical")
    assert (model.fc, model.global_pool) == before


@pytest.mark.parametrize("pool", [None, "regular"])
def test_a_pose_that_would_be_left_out_is_refused(pool):
    model = create_model("c4_resnet18s_w8", num_classes=3)
    before = model.fc, model.global_pool
    message = (
        f"pose is read by a canonical or a weighted pooling; got one for global_pool={pool or 'invariant'!r}. "
        "Add global_pool='canonical', or leave pose out."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        model.reset_classifier(3, pool, pose=pose_predictor("c4", 16))
    assert (model.fc, model.global_pool) == before


@each_mode
def test_the_output_is_described_in_words(mode):
    described = create_model("c4_resnet18s_w8", num_classes=3, global_pool=mode).describe_output()
    for words in (
        "global_pool: 64 features that do not change when the image moves",
        "(the fibre turned back by the predicted pose)",
        "fc: 3 scores, invariant too.",
    ):
        assert words in described
    assert "no group" in create_model("resnet18s_w4", global_pool=mode).describe_output()
