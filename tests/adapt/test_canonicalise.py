"""The laws of networks that see images upright: every mode, group and shape, whatever the network is."""

from __future__ import annotations

import json
import re

import pytest
import torch
from torch import nn

from eqmodels import EqmodelsError, create_model, load
from eqmodels.adapt import canonicalise, fit_pose, posing, symmetrise
from eqmodels.backbones import Canonical, Canonicalised, with_channels
from eqmodels.data import LabelledImages
from eqmodels.evaluation import assert_equivariant, equivariance_report
from eqmodels.export import to_plain
from eqmodels.transforms import Preprocessing
from tests.adapt.test_symmetrise import Counting, images, network

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}
MODES = ["hard", "straight-through", "soft", "frames"]
ZOO = "c4_resnet18s_w16.rot_fmnist_simclr"


def pose(group="c4", scale=30):
    """A small encoder with random weights; with this scale it tells poses apart."""
    torch.manual_seed(0)
    encoder = create_model(
        f"{group}_resnet18s_w8", in_chans=3, num_classes=0, global_pool="canonical", pose_hidden=64
    ).eval()
    with torch.no_grad():
        encoder.global_pool.pose.logits.weight.mul_(scale)
    return encoder


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("size", [(13, 13), (12, 17)], ids=str)
@pytest.mark.parametrize("output", ["features", "maps"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("group", [pytest.param("d1", marks=pytest.mark.slow), "c4", "d4"])
def test_the_output_turns_as_its_field_says(group, mode, output, size, dtype):
    model = canonicalise(network(), pose(group), mode=mode, output=output).to(dtype)
    upright = images(*size, dtype=dtype)
    with torch.no_grad():
        original = model(upright)
        for g in model.group.elements:
            found = model(model.group.act(g, upright))
            expected = model.out_field.act(model.group, g, original)
            torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCES[dtype])
    assert original.std(0).max() > 1e-3, "it does not depend on the image"


@pytest.mark.parametrize("size", [(13, 13), (12, 17)], ids=str)
def test_the_modes_are_what_the_formula_says(size):
    inner, encoder, upright = network().double(), pose("d4").double(), images(*size, count=5)
    stages = {mode: canonicalise(inner, encoder, mode=mode).double() for mode in MODES}
    group = encoder.group
    with torch.no_grad():
        chances = encoder.global_pool.pose(encoder.regular_features(upright)).softmax(1)
        answers = symmetrise(inner, "d4", output="regular").double()(upright).unflatten(1, (8, -1))
        chosen = torch.nn.functional.one_hot(chances.argmax(1), group.order).double()
        above = (chances - chances.amax(1, keepdim=True) / 2).relu()
        weights = {"hard": chosen, "straight-through": chosen, "soft": chances, "frames": above / above.sum(1, True)}
        for mode, weight in weights.items():
            torch.testing.assert_close(stages[mode](upright), torch.einsum("bg,bgf->bf", weight, answers))


def test_one_pass_is_asked_of_one_pose_and_more_of_poses_in_doubt():
    counted, upright = Counting(), images(13, 13, count=4).float()

    def logits(batch):
        found = torch.zeros(len(batch), 4)
        found[0, 2] = 5.0
        return found

    asked = {}
    for mode in MODES:
        model = canonicalise(counted, logits, mode=mode, group="c4")
        counted.asked.clear()
        model(upright)
        asked[mode] = sum(counted.asked)
    assert asked == {"hard": 4, "straight-through": 4, "soft": 16, "frames": 13}


@pytest.mark.parametrize("mode", MODES)
def test_the_pose_of_the_caller_is_left_as_it_is(mode):
    encoder = pose().train()
    encoder.stem.requires_grad_(False)
    before = [one.requires_grad for one in encoder.parameters()]
    model = canonicalise(network(), encoder, mode=mode)
    assert [one.requires_grad for one in encoder.parameters()] == before
    assert encoder.training
    assert any(one.requires_grad for one in model.canonical.pose.parameters()) == (mode != "hard")


def test_frames_are_continuous_where_a_choice_jumps():
    stages = {mode: Canonical(network(), lambda x: x, "c4", 5, mode=mode) for mode in MODES}
    before, after = (torch.tensor([[2.0 + step, 2.0, 0.0, -1.0]]) for step in (-1e-6, 1e-6))
    jumps = {mode: float((one.weights(after) - one.weights(before)).abs().max()) for mode, one in stages.items()}
    assert jumps["hard"] == 1
    assert jumps["soft"] < 1e-5
    assert jumps["frames"] < 1e-5
    assert stages["frames"].weights(before)[0, 2:].tolist() == [0, 0]
    at_a_tie = stages["frames"].weights(torch.zeros(1, 4))
    assert at_a_tie.tolist() == [[0.25] * 4]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(13, 13), (12, 17)], ids=str)
def test_the_pose_learns_where_the_mode_says_so(mode, size):
    inner = network()
    model = canonicalise(inner, pose(scale=1), mode=mode).train()
    encoder = model.canonical.pose.encoder
    model(images(*size).float()).square().sum().backward()
    gradient = encoder.global_pool.pose.logits.weight.grad
    assert inner[0].weight.grad.abs().max() > 0
    if mode == "hard":
        assert gradient is None
        assert not encoder.training, "its statistics would change"
    else:
        assert gradient.abs().max() > 0


def test_a_pose_of_the_zoo_sees_grey_images_of_its_own_size_and_normalisation():
    inner = network()
    inner.pretrained_cfg = {"input_size": (3, 40, 40), "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}
    model = canonicalise(inner, ZOO, output="features").double()
    assert_equivariant(model, size=(40, 33), tolerance=1e-10, randomised=False)
    own, pixels = load(ZOO).double(), torch.rand(3, 3, 28, 28, dtype=torch.float64)
    grey = (pixels * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    expected = own.global_pool.pose(own.regular_features(own.preprocessing.normalise(grey)))
    found = model.canonical.pose(model.preprocessing.normalise(pixels))
    torch.testing.assert_close(found, expected)


def test_it_is_saved_with_both_networks_and_loaded(tmp_path):
    torch.manual_seed(0)
    model = canonicalise("timm:test_resnet", ZOO, weights="random", size=32, mode="frames")
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["architecture"], config["out_field"]) == ("c4_canonicalised", "96 x scalar")
    assert (config["model_args"]["by"], config["model_args"]["mode"]) == ("c4_resnet18s_w16", "frames")
    again, upright = load(tmp_path), torch.randn(2, 3, 32, 32)
    assert torch.equal(again(upright), model(upright))
    classifier = load(tmp_path, num_classes=4, in_chans=1)
    assert classifier(upright[:, :1]).shape == (2, 4)
    torch.testing.assert_close(
        with_channels(model, 1)(upright[:, :1]), model(upright[:, :1].expand(-1, 3, -1, -1)), rtol=1e-3, atol=1e-4
    )


def test_a_preprocessing_of_ones_own_is_that_of_the_pose_too(tmp_path):
    encoder = pose()
    encoder.preprocessing = Preprocessing((0.1,) * 3, (0.7,) * 3, (16, 16))
    model = canonicalise(
        "timm:test_resnet", encoder, weights="random", size=24, mean=[0.3, 0.2, 0.1], std=[0.9, 0.8, 0.7]
    )
    assert (
        model.canonical.pose.images == model.preprocessing == Preprocessing((0.3, 0.2, 0.1), (0.9, 0.8, 0.7), (24, 24))
    )
    model.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert again.canonical.pose.images == model.preprocessing
    assert again.canonical.pose.encoder.preprocessing == encoder.preprocessing
    upright = torch.randn(2, 3, 24, 24)
    assert torch.equal(again(upright), model(upright))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"by": None}, "by must be what predicts the pose; got None"),
        ({"by": "c4_no_such"}, "no model is named 'c4_no_such'"),
        ({"by": "d4_resnet18s_w8"}, "by must be an encoder of the group C4; got one of D4"),
        ({"by": "c4_resnet18s_w99996"}, "at most 9999 channels of the first stage"),
        ({"mode": "best"}, "mode must be one of hard, straight-through, soft, frames"),
    ],
)
def test_a_file_that_says_another_pose_is_refused(changed, words, tmp_path):
    canonicalise("timm:test_resnet", pose(), weights="random", size=32).save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    content = json.loads(file.read_text())
    content["model_args"] |= changed
    file.write_text(json.dumps(content))
    with pytest.raises(EqmodelsError, match=re.escape(words)):
        load(tmp_path)


def test_a_function_that_predicts_the_pose_has_no_file(tmp_path):
    model = canonicalise(network(), lambda batch: batch.mean((1, 2, 3))[:, None].expand(-1, 4), group="c4")
    with pytest.raises(ValueError, match="of which no file can be written"):
        model.save_pretrained(tmp_path)


def test_only_what_is_declared_is_judged():
    """Also where the number of channels might be that of fibres."""
    model = canonicalise(nn.Sequential(network(), nn.Conv2d(5, 8, 1)), pose())
    report = equivariance_report(model, size=(12, 13), angles=())
    assert {layer.layer for layer in report.layers} == {"canonical", "global_pool", "output"}
    assert report.worst.error < 1e-9
    assert "turned upright by the pose that c4_resnet18s_w8 predicts (hard)" in model.describe_output()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"by": create_model("c4_resnet18s_w4", num_classes=0)}, ValueError, "one whose features are canonical"),
        ({"by": posing("c8_resnet18s_w8")}, ValueError, "group must be one whose elements permute pixels"),
        ({"by": 3, "group": "c4"}, TypeError, "by must be a name, an encoder, or a function"),
        ({"by": lambda batch: batch}, ValueError, "group must be given"),
        ({"by": "c4_no_such"}, ValueError, "no model is named 'c4_no_such'"),
        (
            {"by": "c4_resnet18_w32"},
            ValueError,
            r"'c4_resnet18_w32' names a model with random weights. Name a pretrained one, such as "
            r"'c4_resnet18_w32.distil_lite0'; or pass a module: by = posing\('c4_resnet18_w32'\)",
        ),
        ({"by": "c4_resnet18s_w8"}, ValueError, "such as 'c4_resnet18_w32.distil_lite0'"),
        ({"mode": "best"}, ValueError, "mode must be one of hard"),
        ({"output": "mean"}, ValueError, "output must be 'features' or 'maps'"),
        ({"by": lambda batch: batch.flatten(1)[:, :3], "group": "c4"}, ValueError, r"shape \(batch, 4\)"),
    ],
)
def test_what_cannot_be_adapted_is_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        canonicalise(**{"network": network(), "by": posing("c4_resnet18s_w4"), **arguments})(images(12, 12).float())


def test_another_pooling_is_refused_as_there_is_no_fibre():
    model = Canonicalised("c4", source=network(), by="c4_resnet18s_w8")
    with pytest.raises(ValueError, match="takes regular fields of the whole group C4"):
        model.reset_classifier(0, "invariant")


@pytest.mark.parametrize("output", ["features", "maps"])
@pytest.mark.parametrize("mode", MODES)
def test_the_energy_of_the_network_itself_chooses(mode, output):
    inner, upright = network().double(), images(12, 17)
    model = canonicalise(inner, "energy", group="d4", mode=mode, output=output).double()
    original = model(upright)
    for g in model.group.elements:
        expected = model.out_field.act(model.group, g, original)
        torch.testing.assert_close(model(model.group.act(g, upright)), expected, rtol=0, atol=1e-10)
    if (mode, output) == ("hard", "features"):
        answers = symmetrise(inner, "d4", output="regular").double()(upright).unflatten(1, (8, -1))
        best = answers.logsumexp(2).argmax(1)
        torch.testing.assert_close(original, answers[torch.arange(2), best])


def test_the_energy_needs_no_second_network_in_a_file(tmp_path):
    model = canonicalise("timm:test_resnet", "energy", weights="random", group="c2", size=24)
    model.save_pretrained(tmp_path)
    again, upright = load(tmp_path), torch.randn(2, 3, 24, 24)
    assert torch.equal(again(upright), model(upright))
    assert again.structure["by"] == "energy"


def test_a_pose_is_learned_from_upright_images_and_turned_ones_are_turned_back():
    """Images that are bright above: after a few steps, unseen ones are told apart however they are turned."""

    def pictures(count, seed):
        pixels = torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(seed)) / 2
        pixels[:, :, :6] += 0.5
        return LabelledImages("skies", (pixels * 255).to(torch.uint8), torch.zeros(count, dtype=torch.int64), ("sky",))

    encoder = posing("c4_resnet18s_w4", pose_hidden=16)
    seen = []
    found = fit_pose(
        encoder, pictures(64, 0), pictures(32, 1), epochs=4, batch_size=16, learning_rate=3e-3, progress=seen.append
    )
    assert sum(seen) == 4 * 64
    assert len(found.losses) == 4
    assert found.losses[-1] < found.losses[0] < 1.6
    assert found.upright == 1
    assert not encoder.training
    model = canonicalise(network(), encoder)
    lying = encoder.preprocessing.normalise(pictures(4, 2).pixels(slice(None))).rot90(3, (-2, -1))
    torch.testing.assert_close(model(lying), network()(lying.rot90(1, (-2, -1))).mean((-2, -1)))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
        ({"encoder": create_model("c4_resnet18s_w4")}, "encoder must predict the pose, and has invariant features"),
        ({"encoder": posing("c4_resnet18s_w4", in_chans=1)}, "of 1 channels as the encoder takes; got 4 of 3"),
    ],
)
def test_what_no_pose_can_be_learned_of_is_refused(changed, words):
    few = LabelledImages("few", torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64), ("a",))
    with pytest.raises(ValueError, match=words):
        fit_pose(**{"encoder": posing("c4_resnet18s_w4"), "images": few, **changed})


@pytest.mark.tracing
@pytest.mark.parametrize(("size", "mode"), [((12, 12), "hard"), ((12, 16), "frames")], ids=str)
def test_it_is_a_graph_for_any_number_of_images(size, mode):
    def brighter(batch):
        return torch.stack([batch[:, :, :6].mean((1, 2, 3)), batch[:, :, 6:].mean((1, 2, 3))], dim=1)

    model = canonicalise(network(), brighter, group="c2", mode=mode)
    program = torch.export.export(
        to_plain(model, size=size),
        (torch.zeros(2, 3, *size),),
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},),
    )
    upright = images(*size, count=5).float()
    torch.testing.assert_close(program.module()(upright), model(upright))
