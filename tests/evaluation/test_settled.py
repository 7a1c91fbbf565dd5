"""An encoder that is asked about thousands of images: less work, and the same features to the last bit."""

from __future__ import annotations

import pytest
import torch

from eqmodels import create_model
from eqmodels.evaluation.encoding import Subject, features_of
from eqmodels.evaluation.settled import remembering, settled
from eqmodels.layers import SteerableConv2d


def of(name: str) -> Subject:
    torch.manual_seed(0)
    model = create_model(name, in_chans=1, num_classes=0, global_pool="regular").eval()
    for buffer_name, buffer in model.named_buffers():
        if buffer_name.endswith("_var"):
            buffer.copy_(0.5 + torch.rand(buffer.shape))
    return Subject.of(model)


@pytest.mark.parametrize("name", ["c4_resnet18s_w4", "d2_resnet18s_w4"])
@torch.no_grad()
def test_features_are_the_same_to_the_last_bit(name):
    images = torch.rand(21, 1, 12, 13)
    subject = of(name)
    quicker = settled(subject)
    assert quicker.encode is not subject.encode
    assert features_of(subject, images).std(0).min() > 0
    for _ in range(2):  # the first features are those that it is compared by
        assert torch.equal(features_of(quicker, images), features_of(subject, images))
    assert quicker.encode.is_equal


@torch.no_grad()
def test_a_network_that_its_copy_does_not_agree_with_is_taken_as_it_is():
    images = torch.rand(3, 1, 12, 12)
    subject = of("c4_resnet18s_w4")
    quicker = settled(subject)
    next(part for part in subject.encode.modules() if isinstance(part, SteerableConv2d)).weight.mul_(2)
    for _ in range(2):
        assert torch.equal(features_of(quicker, images), features_of(subject, images))
    assert not quicker.encode.is_equal


def test_what_has_no_steerable_convolutions_is_left_alone():
    subject = Subject.of(create_model("resnet18s_w4", in_chans=1))
    assert settled(subject) is subject
    function = Subject.of(lambda images: images.mean((2, 3)))
    assert settled(function) is function


def test_an_image_is_computed_once():
    asked = []

    def largest(images):
        asked.append(len(images))
        return images.amax((2, 3))

    subject, images = remembering(Subject.of(largest)), torch.rand(6, 3, 4, 4)
    for part in (images, images.flip(0), images[:2], images * 0.5):
        assert torch.equal(features_of(subject, part), part.amax((2, 3)))
    assert asked == [6, 6]  # darker images are others
