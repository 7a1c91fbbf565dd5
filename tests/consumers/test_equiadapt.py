"""equiadapt canonicalises images by our encoders, by its own code: turned images become the same image."""

from __future__ import annotations

import pytest
import torch
from equiadapt.images import GroupEquivariantImageCanonicalization
from omegaconf import DictConfig

from eqmodels import PlanarGroup, create_model
from eqmodels.backbones import as_equiadapt

SIZE = 24


@pytest.mark.parametrize("name", ["c4_resnet18s_w4", "d4_resnet18s_w8"])
def test_turned_images_become_one_image(name):
    encoder = create_model(name, num_classes=0, global_pool="canonical", pose_hidden=64).eval()
    options = DictConfig({"input_crop_ratio": 1.0, "resize_shape": (SIZE, SIZE), "beta": 1.0})
    canonicalisation = GroupEquivariantImageCanonicalization(as_equiadapt(encoder), options, (3, SIZE, SIZE)).eval()
    group, images = PlanarGroup.parse(encoder.group), torch.rand(3, 3, SIZE, SIZE)
    with torch.no_grad():
        expected, elements = canonicalisation(images), set()
        for g in group.elements:
            turned = canonicalisation(group.act(g, images))
            torch.testing.assert_close(turned, expected, rtol=0, atol=1e-4)
            found = canonicalisation.canonicalization_info_dict["group_activations"].argmax(1)
            elements |= set(found.tolist())
    assert elements == set(group.elements), "and every element was found"


def test_its_prior_trains_the_network():
    encoder = create_model("c4_resnet18s_w4", num_classes=0, global_pool="canonical-soft", pose_hidden=16)
    options = DictConfig({"input_crop_ratio": 0.9, "resize_shape": (SIZE, SIZE), "beta": 1.0})
    canonicalisation = GroupEquivariantImageCanonicalization(as_equiadapt(encoder), options, (3, SIZE, SIZE))
    canonicalisation(torch.rand(2, 3, SIZE, SIZE)).square().mean().backward()
    assert encoder.stem.conv.weight.grad.any()
    canonicalisation(torch.rand(2, 3, SIZE, SIZE))
    loss = canonicalisation.get_prior_regularization_loss()
    loss.backward()
    assert loss.isfinite()


def test_an_encoder_without_a_pose_is_refused():
    with pytest.raises(ValueError, match=r"^encoder must predict the pose, and has invariant features\. Build it"):
        as_equiadapt(create_model("c4_resnet18s_w4"))
