"""Pictures that are turned upright by the head of the angle: the same features at every angle that it tells."""

from __future__ import annotations

import onnxruntime
import pytest
import torch
from torch import nn

from eqmodels import create_model, load
from eqmodels.adapt import holds_original, turn_upright
from eqmodels.backbones import TurnedUpright, Upright
from eqmodels.data import at_size, load_data
from eqmodels.evaluation import assert_equivariant
from eqmodels.evaluation.orbits import Motion, View
from eqmodels.export import export_network, to_plain
from eqmodels.hub import load_pretrained
from eqmodels.hub.entries import adapted_from, published_config

NAME = "c4_resnet18_w32.distil_lite0"


@pytest.fixture(scope="module")
def run():
    return load_pretrained(NAME)


@pytest.fixture(scope="module")
def encoder(run) -> TurnedUpright:
    return turn_upright(run)


@pytest.fixture(scope="module")
def pixels():
    return at_size(load_data("openclipart_mini", "test"), (96, 96)).pixels(slice(0, 6))


class Known(nn.Module):
    """A head that is told the angle."""

    def __init__(self, degrees: float) -> None:
        super().__init__()
        self.degrees = degrees

    def forward(self, features):
        angle = torch.deg2rad(torch.full((len(features),), self.degrees))
        return torch.stack([-angle.sin(), angle.cos()], 1)


def test_quarter_turns_change_nothing(encoder, run, pixels):
    images = run.preprocessing.normalise(pixels)
    with torch.no_grad():
        features, degrees = encoder(images), encoder.degrees(images)
        for quarters in (1, 2, 3):
            turned = images.rot90(quarters, (-2, -1))
            assert (encoder(turned) - features).norm() / features.norm() < 1e-4
            apart = encoder.degrees(turned) - degrees - 90 * quarters
            assert ((apart + 180) % 360 - 180).abs().max() < 1e-2
    assert features.shape == (6, encoder.out_field.channels)


def test_an_angle_that_is_known_is_turned_back(run, pixels):
    """All but what is lost by sampling twice, where the picture itself differs by far more."""
    whole = run.preprocessing.normalise(pixels)
    turned = run.preprocessing.normalise(View(Motion.by_degrees(40), circular=True).of(pixels))
    encoder, found = turn_upright(run), {}
    with torch.no_grad():
        for degrees, images in ((0.0, whole), (40.0, turned), (0.0, turned)):
            encoder.upright.angle = Known(degrees)
            found[degrees, images is whole] = encoder(images)
    reference = found[0.0, True]
    kept, lost = ((one - reference).norm() / reference.norm() for one in (found[40.0, False], found[0.0, False]))
    assert kept < 0.25
    assert kept < lost / 2


def test_corners_and_sides_beyond_the_square_are_not_seen(encoder, run, pixels):
    images = run.preprocessing.normalise(pixels)
    wider = torch.cat([torch.randn(6, 3, 96, 10), images, torch.randn(6, 3, 96, 10)], -1)
    cornered = images.clone()
    cornered[..., :10, :10] = 3.0
    with torch.no_grad():
        reference = encoder(images)
        for other in (wider, cornered):
            assert (encoder(other) - reference).norm() / reference.norm() < 1e-4


def test_the_network_learns_by_the_second_pass(run, pixels):
    encoder = turn_upright(run, "invariant")
    encoder(run.preprocessing.normalise(pixels[:1])).sum().backward()
    told = [*encoder.upright.angle.parameters(), *encoder.upright.seer.parameters()]
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in told)
    assert next(encoder.upright.encoder.parameters()).grad is not None
    assert next(run.backbone.parameters()).grad is None


@pytest.mark.parametrize("size", [(32, 32), (33, 33), (24, 31)], ids=str)
@pytest.mark.parametrize("group", ["c4", "d4", "c8"])
def test_quarter_turns_leave_the_features_to_rounding(group, size):
    torch.manual_seed(0)
    inner = create_model(f"{group}_resnet18s_w8", num_classes=0, global_pool="invariant")
    model = TurnedUpright(network=inner, angle_hidden=32).double().eval()
    assert_equivariant(model, size=size, tolerance=1e-9, randomised=False)
    assert model(torch.rand(4, 3, *size, dtype=torch.float64)).std(0).max() > 1e-4


def test_it_is_saved_and_loaded_with_the_angle(encoder, tmp_path):
    encoder.save_pretrained(tmp_path)
    again, images = load(tmp_path), torch.randn(2, 3, 96, 96)
    assert torch.equal(again(images), encoder(images))
    assert torch.equal(again.degrees(images), encoder.degrees(images))
    assert again.preprocessing == encoder.preprocessing
    assert holds_original(again)
    assert load(tmp_path, num_classes=4, in_chans=1)(images[:, :1]).shape == (2, 4)
    assert "its own head tells" in again.describe_output()
    assert turn_upright(NAME).license == "mit"


def test_the_angle_stays_when_the_network_learns():
    torch.manual_seed(0)
    inner = create_model("c4_resnet18s_w8", num_classes=0, global_pool="invariant")
    model, images = TurnedUpright(network=inner, angle_hidden=32), torch.rand(4, 3, 32, 32)
    before = model.eval().degrees(images)
    optimiser = torch.optim.SGD((one for one in model.parameters() if one.requires_grad), 1.0)
    model.train()
    features = model(images)
    features.square().sum().backward()
    optimiser.step()
    model.eval()
    assert torch.equal(model.degrees(images), before)
    assert (model(images) - features).abs().max() > 1e-3


def test_no_images_and_half_precision():
    torch.manual_seed(0)
    inner = create_model("c4_resnet18s_w8", num_classes=0, global_pool="invariant")
    model = TurnedUpright(network=inner, angle_hidden=32).eval()
    assert model(torch.rand(0, 3, 32, 24)).shape == (0, model.num_features)
    assert model.degrees(torch.rand(0, 3, 32, 24)).shape == (0,)
    images = torch.rand(4, 3, 32, 32)
    exact, half = model(images), model.bfloat16()(images.bfloat16())
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).norm() / exact.norm() < 0.05


@pytest.mark.parametrize("size", [(32, 32), (33, 24)], ids=str)
def test_as_stock_modules_it_is_the_same(size):
    torch.manual_seed(0)
    inner = create_model("c4_resnet18s_w8", num_classes=0, global_pool="regular")
    model = TurnedUpright(network=inner, angle_hidden=32).double().eval()
    plain = to_plain(model, size=size)
    assert not any(isinstance(part, Upright) for part in plain.modules())
    images = torch.rand(3, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(plain(images), model(images), rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match=r"size must be a number, as pictures are turned upright"):
        to_plain(model, size="any")


def test_it_is_exported_to_onnx_for_any_batch(encoder, tmp_path):
    export_network(encoder, tmp_path / "upright.onnx", size=96)
    session = onnxruntime.InferenceSession(str(tmp_path / "upright.onnx"))
    images = torch.randn(3, 3, 96, 96)
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(found), encoder(images), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("resnet18s_w8", "network must have maps of regular fields|encoder must have maps of regular fields"),
        ("c6_resnet18s_w12", "a group with quarter turns"),
    ],
)
def test_networks_without_quarter_turns_are_refused(network, words):
    with pytest.raises(ValueError, match=words):
        TurnedUpright(network=network)


def test_channels_and_hidden_that_do_not_fit_are_refused():
    inner = create_model("c4_resnet18s_w8", num_classes=0, in_chans=1)
    with pytest.raises(ValueError, match=r"^in_chans must be that of the network; got 3, and a network of 1"):
        TurnedUpright(network=inner)
    with pytest.raises(ValueError, match=r"^angle_hidden must be at least 4, the order of C4; got 3"):
        TurnedUpright(network="c4_resnet18s_w8", angle_hidden=3)


def test_it_has_a_card_and_is_published_as_made_of_the_network(encoder, tmp_path):
    turn_upright(NAME).save_pretrained(tmp_path)
    assert adapted_from(published_config(tmp_path)) == NAME


def test_a_network_without_such_a_head_is_refused():
    name = "c4_resnet18s_w16.rot_fmnist_simclr"
    with pytest.raises(ValueError, match=rf"network must have a head of the angle; {name} has none"):
        turn_upright(name)
