"""The law of dense networks: the output of the moved image is the moved output, pixel by pixel, at every size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eqmodels import PlanarGroup, create_model, list_models
from eqmodels.evaluation import assert_equivariant
from eqmodels.fields import Field

NAMES = [name for name in list_models("[cd]*", takes="images") if not name.startswith("c1_")]
SIZES = [(16, 16), (17, 24), (30, 27), (33, 33), (9, 40), (64, 48), (65, 96)]
OUTPUT = "3 x scalar + 2 x vector({0}) + 1 x vector({0}:2) + 1 x regular({0})"


def dense(kind: str, encoder: str, **options) -> nn.Module:
    """A narrow network with outputs of every kind."""
    group = PlanarGroup.parse(encoder.split("_", maxsplit=1)[0])
    # Two fields: of one alone a ReLU may leave nothing.
    own = {"encoder_args": {"width": 2 * group.order}, "width": 2 * group.order, "out_field": OUTPUT.format(group.name)}
    return create_model(kind, encoder=encoder, **{**own, **options})


@pytest.mark.parametrize(
    ("kind", "encoder", "size"),
    [
        ("unet", "c4_resnet18s", (30, 27)),
        ("unet", "d4_resnet18", (33, 40)),
        ("unet", "c8_wide_resnet16_8", (16, 17)),
        ("fpn", "d4_resnet18s", (30, 27)),
        ("fpn", "c4_resnet18", (65, 48)),
    ],
)
def test_every_pixel_turns_with_the_image(kind, encoder, size):
    assert_equivariant(dense(kind, encoder), size=size)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["unet", "fpn"])
@pytest.mark.parametrize("encoder", NAMES)
def test_every_registered_encoder_at_every_size(kind, encoder):
    model = dense(kind, encoder)
    for size in SIZES:
        assert_equivariant(model, size=size)


def test_an_encoder_that_is_restricted_along_its_depth():
    own = {"width": 16, "restrict": ("d8", "d4", "c4")}
    model = dense("unet", "d8_wide_resnet16_8", encoder_args=own, width=8, out_field="1 x vector(c4)")
    assert (model.group.name, str(model.out_field)) == ("c4", "1 x vector(c4)")
    assert_equivariant(model, size=(21, 16))


@pytest.mark.parametrize("options", [{"norm": "layer"}, {"basis": "harmonic", "kernel_size": 5}], ids=str)
def test_with_other_norms_and_bases(options):
    assert_equivariant(dense("unet", "c4_resnet18s", **options), size=(20, 17))


def test_after_training_steps_in_float32():
    model = dense("unet", "d4_resnet18s", num_classes=3, out_field=None)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    images, masks = torch.randn(2, 3, 18, 15), torch.randint(3, (2, 18, 15))
    for _ in range(2):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images), masks).backward()
        optimiser.step()
    assert_equivariant(model, size=(18, 15), dtype=torch.float32, tolerance=1e-4, randomised=False)


def test_the_maps_of_a_pyramid_turn_as_well():
    model = dense("fpn", "c4_resnet18s").double().eval()
    images = torch.randn(1, 3, 22, 17, dtype=torch.float64)
    with torch.no_grad():
        levels, turned = model.pyramid(images), model.pyramid(model.group.act(1, images))
    assert [tuple(level.shape[-2:]) for level in levels] == [(22, 17), (11, 9), (6, 5), (3, 3)]
    for level, other in zip(levels, turned, strict=True):
        torch.testing.assert_close(other, model.map_field.act(model.group, 1, level), rtol=0, atol=1e-12)


# Controls: the law can be broken, and the test sees it.


class _Nearest(nn.Module):
    def forward(self, maps, size):
        return nn.functional.interpolate(maps, size, mode="nearest")


def test_the_usual_upsampling_fails():
    model = dense("unet", "c4_resnet18s")
    model.unet.blocks[0].up = _Nearest()
    with pytest.raises(AssertionError, match="is not C4-equivariant"):
        assert_equivariant(model, size=(30, 27))


def test_vectors_that_do_not_turn_fail():
    model = dense("unet", "c4_resnet18s", out_field="2 x scalar")
    with pytest.raises(AssertionError, match="is not C4-equivariant"):
        assert_equivariant(model, size=(18, 15), out_field=Field.parse("1 x vector(c4)"))
