"""segmentation_models_pytorch: every decoder on our encoders, by its own code and our names."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import torch
from torch.nn import functional as F

import eqmodels
from eqmodels import PlanarGroup
from eqmodels.fields import Regular
from eqmodels.hub import register_timm

NAME = "c4_resnet18_w4"
CHANNELS = (4, 4, 8, 16, 32)
DECODERS = {
    "Unet": {"decoder_channels": (8,) * 5},
    "UnetPlusPlus": {"decoder_channels": (8,) * 5},
    "MAnet": {"decoder_channels": (8,) * 5, "decoder_pab_channels": 8},
    "Linknet": {},
    "FPN": {"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32},
    "PSPNet": {"psp_out_channels": 16},
    "UPerNet": {"decoder_channels": 16},
    "Segformer": {"decoder_segmentation_channels": 16},
    "DPT": {"decoder_intermediate_channels": (8, 8, 16, 16), "decoder_fusion_channels": 16},
    # Those that ask for maps at an eighth or a sixteenth of the image.
    "PAN": {"decoder_channels": 8},
    "DeepLabV3": {"decoder_channels": 8, "decoder_atrous_rates": (1, 2, 3)},
    "DeepLabV3Plus": {"decoder_channels": 8, "decoder_atrous_rates": (1, 2, 3)},
}
LARGER = {"PAN": (128, 128)}
"""What halves the last map three times more."""

SMALLER_STEPS = {
    "Unet": [(33, 47), (40, 64)],
    "PSPNet": [(24, 40)],
    "DeepLabV3": [(24, 40)],
    "DeepLabV3Plus": [(48, 80)],
    "PAN": [(144, 128)],
}
"""What takes sizes that are no multiples of 32: all, or multiples of the reduction of the last map that it reads."""


@pytest.fixture(autouse=True, scope="module")
def _registered_names():
    register_timm([NAME])


def build(decoder, **options):
    return getattr(smp, decoder)(f"tu-{NAME}", encoder_weights=None, classes=3, **DECODERS[decoder], **options)


@pytest.mark.filterwarnings("ignore:Encoder does not have prefix tokens")
@pytest.mark.parametrize("decoder", DECODERS)
def test_every_decoder_trains_on_our_maps(decoder):
    network, size = build(decoder), LARGER.get(decoder, (64, 32))
    images, masks = torch.randn(2, 3, *size), torch.randint(3, (2, *size))
    logits = network(images)
    assert logits.shape == (2, 3, *size)
    F.cross_entropy(logits, masks).backward()
    gradient = network.encoder.model.stem.conv.weight.grad
    assert gradient.isfinite().all()
    assert gradient.any()


@pytest.mark.parametrize("decoder", [*SMALLER_STEPS, "FPN"])
def test_sizes_that_are_no_multiples_where_they_are_allowed(decoder):
    network = build(decoder).eval()
    with torch.no_grad():
        for size in SMALLER_STEPS.get(decoder, []):
            assert network(torch.randn(1, 3, *size)).shape == (1, 3, *size)
        if decoder != "Unet":  # it says so itself
            with pytest.raises(RuntimeError, match="Wrong input shape height=33, width=47"):
                network(torch.randn(1, 3, 33, 47))


@pytest.mark.parametrize(
    ("decoder", "size"), [("Unet", (64, 32)), ("Unet", (33, 47)), ("DeepLabV3", (48, 33))], ids=str
)
def test_what_the_decoder_gets_turns_with_the_image(decoder, size, randomised):
    encoder = randomised(build(decoder).encoder).double().eval()
    group, images = PlanarGroup.parse("c4"), torch.randn(1, 3, *size, dtype=torch.float64)
    assert encoder.out_channels == [3, *CHANNELS]
    with torch.no_grad():
        maps = encoder(images)[1:]
        for g in group.elements:
            for channels, before, after in zip(CHANNELS, maps, encoder(group.act(g, images))[1:], strict=True):
                expected = Regular(group, channels // group.order).act(group, g, before)
                torch.testing.assert_close(after, expected, rtol=0, atol=1e-10 * float(expected.abs().max()))


def test_weights_of_the_zoo_come_by_name():
    encoder = smp.Unet("tu-c4_resnet18_w32.distil_lite0", encoder_weights="imagenet").encoder
    expected = eqmodels.load("c4_resnet18_w32.distil_lite0").layer4[1].conv2.weight
    assert torch.equal(encoder.model.layer4[1].conv2.weight, expected)


@pytest.mark.tracing
@pytest.mark.filterwarnings("ignore:Encoder does not have prefix tokens")
@pytest.mark.parametrize(
    "decoder", [name if name == "PSPNet" else pytest.param(name, marks=pytest.mark.slow) for name in DECODERS]
)
def test_a_whole_network_is_exported_with_any_batch(decoder):
    network, size = build(decoder).eval(), LARGER.get(decoder, (32, 64) if decoder != "PSPNet" else (32, 32))
    images = torch.randn(2, 3, *size)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(network, (images,), dynamic_shapes=({0: batch},)).module()
    with torch.no_grad():
        for count in (2, 3):
            images = torch.randn(count, 3, *size)
            torch.testing.assert_close(exported(images), network(images), rtol=0, atol=1e-5)
