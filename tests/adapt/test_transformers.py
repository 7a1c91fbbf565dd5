"""Networks of transformers: what they say of their images, and what has to be said for them."""

from __future__ import annotations

import pytest
import torch
from transformers import ConvNextConfig, ConvNextModel, ViTConfig, ViTModel

from eqmodels.adapt import symmetrise
from eqmodels.evaluation import assert_equivariant


@pytest.fixture(scope="module")
def vision_transformer():
    torch.manual_seed(0)
    options = {"image_size": 24, "patch_size": 8, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    return ViTModel(ViTConfig(**options, intermediate_size=16)).eval().double()


@pytest.mark.parametrize("output", ["mean", "regular"])
def test_a_vision_transformer_sees_images_of_the_size_in_its_config(vision_transformer, output):
    model = symmetrise(vision_transformer, "c4", output=output)
    assert model.orbit.size == (24, 24)
    assert_equivariant(model, size=(20, 32), tolerance=1e-10)
    images = torch.rand(2, 3, 24, 24, dtype=torch.float64)
    expected = vision_transformer(images).pooler_output
    torch.testing.assert_close(symmetrise(vision_transformer, "c1")(images), expected)


def test_a_network_without_position_embeddings_sees_images_as_they_come():
    torch.manual_seed(0)
    network = ConvNextModel(ConvNextConfig(image_size=64, hidden_sizes=[4, 8], depths=[1, 1], num_stages=2)).eval()
    assert symmetrise(network, "c4").orbit.size is None


def test_its_mean_and_deviation_are_given_and_its_size_is_not(vision_transformer):
    given = {"mean": [0.5] * 3, "std": [0.25] * 3}
    model = symmetrise(vision_transformer, "c4", **given)
    assert (model.preprocessing.size, model.preprocessing.deviation) == ((24, 24), (0.25,) * 3)
    for output in ("mean", "maps"):
        unknown = symmetrise(lambda images: images, "c4", in_chans=3, output=output)
        with pytest.raises(ValueError, match=r"Pass the size=, mean= and std= of its training when you adapt it"):
            unknown.transform()
