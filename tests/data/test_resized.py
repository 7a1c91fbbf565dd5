"""Images in the size that a network learned at."""

from __future__ import annotations

import pytest
import torch

import eqmodels
from eqmodels.data import LabelledImages, at_size, load_data
from eqmodels.evaluation import encode


def test_a_network_sees_what_its_own_transform_makes():
    encoder = eqmodels.load("c4_resnet18_w32.distil_lite0")
    images = load_data("openclipart_mini", "test").subset(range(3))
    seen = encoder.preprocessing
    resized = at_size(images, seen.size, seen.resize)
    assert (resized.size, resized.channels, resized.labels.tolist()) == (seen.size, 3, images.labels.tolist())
    made = torch.stack([encoder.transform()(image) for image in images.images])
    torch.testing.assert_close(seen.normalise(resized.pixels(slice(0, 3))), made, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(encode(encoder, resized.pixels, 3), encoder(made), rtol=1e-4, atol=1e-4)


def test_turned_images_are_the_resized_ones_turned():
    images = torch.randint(256, (2, 3, 10, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = LabelledImages("made", images, torch.zeros(2, dtype=torch.long), ("a",))
    turned = LabelledImages("made", images.rot90(1, (-2, -1)), data.labels, data.classes)
    for size in (7, 16):
        one, other = (at_size(source, (size, size)).pixels(slice(0, 2)) for source in (data, turned))
        torch.testing.assert_close(one.rot90(1, (-2, -1)), other, rtol=0, atol=1e-6)


def test_images_of_the_size_and_clouds_are_as_they_are():
    images, clouds = load_data("fashion_mnist_mini", "test"), load_data("kicad_parts_mini", "test")
    assert at_size(images, (28, 28)) is images
    assert at_size(clouds, (28, 28)) is clouds
    with pytest.raises(ValueError, match="size"):
        at_size(images, (0, 28))
