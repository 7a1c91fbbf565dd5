"""What the equivariance report says, shows and leaves alone."""

from __future__ import annotations

import json
import math
import sys

import pytest
import torch
import torchvision
from matplotlib.figure import Figure
from torch import nn

from eqmodels import create_model
from eqmodels.evaluation import (
    EquivarianceReport,
    assert_equivariant,
    equivariance_report,
    plot_equivariance,
    randomise,
    smooth_images,
)
from eqmodels.evaluation.layer_fields import watch
from eqmodels.layers import GroupPool, SteerableConv2d


@pytest.fixture(scope="module")
def report() -> EquivarianceReport:
    torch.manual_seed(0)
    return equivariance_report(create_model("d4_resnet18s_w8"), size=(20, 27), name="narrow")


@pytest.fixture(scope="module")
def plain() -> EquivarianceReport:
    torch.manual_seed(0)
    return equivariance_report(create_model("resnet18s_w8"), size=20, group="c4", name="plain")


def test_every_layer_meets_every_element_but_the_identity(report):
    elements = {}
    for error in report.layers:
        elements.setdefault(error.layer, []).append(error.element)
    assert all(sorted(found) == list(range(1, 8)) for found in elements.values())
    expected = {"stem.conv", "stem.bn", "stem.relu", "stem", "layer1.0.conv1", "layer1.0.relu#2", "layer4.1", "layer4"}
    assert expected | {"global_pool", "fc", "output"} <= elements.keys()


def test_the_worst_comes_first(report):
    errors = [error.error for error in report.layers]
    assert errors == sorted(errors, reverse=True)
    assert report.worst is report.layers[0]
    assert report.worst_exact is report.worst


def test_the_fibre_is_named(report, plain):
    fibres = {error.layer: error.fibre for error in report.layers}
    assert (fibres["layer4"], fibres["global_pool"], fibres["output"]) == ("D4", "no fibre", "no fibre")
    assert {error.fibre for error in plain.layers} == {"no fibre"}


def test_the_curve_has_every_angle(report):
    assert [point.degrees for point in report.curve] == list(range(0, 360, 15))
    by_angle = {point.degrees: point.error for point in report.curve}
    assert max(by_angle[angle] for angle in (0, 90, 180, 270)) < 1e-12
    assert min(error for angle, error in by_angle.items() if angle % 90) > 1e-4


def test_a_plain_network_changes_at_every_angle(plain):
    assert all(point.error > 1e-3 for point in plain.curve if point.degrees)
    assert min(error.error for error in plain.at("layer4")) > 1e-2


def test_collapse_is_measured(report):
    collapse = report.collapse
    assert 1 < collapse.effective_rank < collapse.channels == 64
    assert 0 < collapse.spread < 1
    assert collapse.between_images > 0


def test_a_constant_network_does_not_look_good():
    model = create_model("c4_resnet18s_w4")
    with torch.no_grad():
        model.stem.bn.bn.weight.zero_()
    collapse = equivariance_report(model, size=16, angles=()).collapse
    assert (collapse.effective_rank, collapse.spread, collapse.between_images) == pytest.approx((0, 0, 0), abs=1e-6)


def test_the_text_is_a_table(report):
    text = report.text(rows=3)
    assert str(report).startswith("Equivariance of narrow under D4: 2 images of 20x27 pixels, float64")
    assert f"{report.worst.layer} " in text
    assert "more layers, below" in text
    assert "global_pool" in text
    assert "output" in text
    assert "345°" in text
    assert "effective rank" in text
    assert max(map(len, text.splitlines())) <= 120


def test_a_report_without_a_curve_has_a_text():
    report = equivariance_report(create_model("c4_resnet18s_w4"), size=16, angles=())
    assert "masked by a circle" not in str(report)


def test_to_dict_is_json(report):
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert content["model"] == "narrow"
    assert content["group"] == "d4"
    assert content["size"] == [20, 27]
    assert content["layers"][0]["layer"] == report.worst.layer
    assert len(content["curve"]) == 24
    assert content["collapse"]["channels"] == 64


def test_an_error_that_is_not_finite_is_json_too():
    model = create_model("c4_resnet18s_w4")
    model.fc.weight.data.fill_(math.nan)
    report = equivariance_report(model, size=16, angles=())
    assert math.isnan(report.worst.error)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["layers"][0]["error"] is None


def test_an_unknown_layer_is_named(report):
    with pytest.raises(KeyError, match="no layer 'layer9'"):
        report.at("layer9")


# The picture.


def test_a_picture_is_made(report, plain, tmp_path):
    plot_equivariance([report, plain], tmp_path / "new" / "both.png")
    plot_equivariance([report], str(tmp_path / "one.png"))
    for file in (tmp_path / "new" / "both.png", tmp_path / "one.png"):
        assert file.read_bytes().startswith(b"\x89PNG")


def test_a_picture_on_given_axes_says_what_it_shows(report):
    axes = Figure().add_subplot()
    plot_equivariance([report], axes)
    assert axes.get_yscale() == "log"
    assert "degrees" in axes.get_xlabel()
    assert "narrow" in axes.get_legend_handles_labels()[1]


def test_without_matplotlib_it_is_named(report, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"run: pip install matplotlib$"):
        plot_equivariance([report], tmp_path / "x.png")


def test_a_picture_needs_a_curve(tmp_path):
    report = equivariance_report(create_model("c4_resnet18s_w4"), size=16, angles=())
    with pytest.raises(ValueError, match="each with a curve"):
        plot_equivariance([report], tmp_path / "x.png")


# The model is left alone.


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_not_changed(training):
    model = create_model("c4_resnet18s_w4").train(training)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    equivariance_report(model, size=16, angles=(0, 30))
    assert_equivariant(model, size=16)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) and before[key].dtype == after[key].dtype for key in before)
    assert model.training is training
    assert all(module.training is training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())


def test_the_global_random_state_is_not_used():
    state = torch.get_rng_state()
    model = create_model("c4_resnet18s_w4")
    torch.set_rng_state(state)
    assert_equivariant(model, size=16)
    assert torch.equal(state, torch.get_rng_state())


# Networks that are not this package's.


def test_a_torchvision_network_has_no_fibre():
    model = torchvision.models.resnet18(num_classes=4)
    report = equivariance_report(model, size=33, group="c4", angles=(0, 45))
    assert {"conv1", "layer4.1.conv2", "avgpool", "fc", "output"} <= {error.layer for error in report.layers}
    assert report.worst.error > 0.1


def test_a_network_that_has_only_pointwise_layers_is_equivariant_without_a_fibre():
    model = nn.Sequential(nn.Conv2d(2, 5, 1), nn.ReLU(inplace=True), nn.AvgPool2d(2), nn.Conv2d(5, 3, 1))
    assert_equivariant(model, size=(16, 20), group="d4")
    report = equivariance_report(model, size=16, group="d4", angles=())
    assert {error.layer for error in report.layers} == {"0", "1", "2", "3", "output"}


def test_one_layer_is_a_network():
    assert_equivariant(SteerableConv2d("d4", 3, 2, 3, lifting=True), size=9)


@pytest.mark.escnn
def test_a_network_of_escnn_is_seen_stage_by_stage():
    model = create_model("c4_resnet18s", width=4, backend="escnn", num_classes=2)
    # escnn computes its basis in float32.
    assert_equivariant(model, size=(21, 32), tolerance=1e-5)
    layers = {error.layer for error in equivariance_report(model, size=20, angles=()).layers}
    stages = {"stem", "layer1", "layer2", "layer3", "layer4"}
    assert layers == stages | {"global_pool", "global_pool.fibre", "fc", "output"}


def test_the_group_of_a_wrapped_encoder_is_found():
    model = nn.Sequential(create_model("c4_resnet18s_w4", num_classes=0), nn.Linear(8, 3))
    report = equivariance_report(model, size=16, angles=())
    assert str(report.group) == "C4"
    assert report.at("output")[0].error < 1e-12


def test_what_a_stock_layer_makes_of_regular_features_is_left_out():
    model = create_model("c4_resnet18s_w4", global_pool="regular", num_classes=3)
    layers = {error.layer for error in equivariance_report(model, size=16, angles=()).layers}
    assert "global_pool" in layers
    assert not {"fc", "output"} & layers


def test_a_restricted_network_is_tested_with_its_last_group_unless_told_otherwise():
    model = create_model("d4_wide_resnet16_8", width=8, restrict=("d4", "c4", "c2"))
    assert str(equivariance_report(model, size=17, angles=()).group) == "C2"
    report = equivariance_report(model, size=17, group="d4", angles=())
    fibres = {name: {e.fibre for e in report.at(name)} for name in ("layer1", "layer2", "layer3")}
    assert fibres == {"layer1": {"D4"}, "layer2": {"C4", "no fibre"}, "layer3": {"C2", "no fibre"}}


# The parts.


def test_watch_sees_a_map_before_it_is_overwritten():
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(inplace=True))
    lowest = {}
    watch(
        model, torch.randn(2, 1, 4, 4), lambda name, output, _: lowest.__setitem__(name, float(output.detach().min()))
    )
    assert lowest["0"] < 0 <= lowest["1"]


def test_hooks_are_removed_after_an_error():
    model = nn.Sequential(GroupPool("c4"), nn.Linear(3, 3))
    with pytest.raises(RuntimeError):
        watch(model, torch.randn(2, 4, 5, 5), lambda *_: None)
    assert not any(module._forward_hooks for module in model.modules())


def test_randomise_leaves_nothing_special_and_depends_on_the_generator_alone():
    first, second = create_model("c4_resnet18s_w4"), create_model("c4_resnet18s_w4")
    second.load_state_dict(first.state_dict())
    for model in (first, second):
        randomise(model, torch.Generator().manual_seed(3))
    for (key, value), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(value, other)
        if not key.endswith("num_batches_tracked") and value.numel() > 1:
            assert value.std() > 0, key
        if key.endswith("running_var"):
            assert value.min() > 0


def test_smooth_images_are_seeded_and_smooth():
    images = smooth_images(2, 3, (20, 31), seed=1)
    assert images.shape == (2, 3, 20, 31)
    assert torch.equal(images, smooth_images(2, 3, (20, 31), seed=1))
    assert not torch.equal(images, smooth_images(2, 3, (20, 31), seed=2))
    assert images.diff(dim=-1).norm() < images.norm() * 0.7


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"batch": 1}, ValueError, "a batch of at least 2"),
        ({"images": torch.randn(1, 3, 8, 8)}, ValueError, "a batch of at least 2"),
        ({"size": 0}, ValueError, "must be positive"),
        ({"dtype": torch.int64}, TypeError, "must be a real floating point type"),
        ({"group": "c1"}, ValueError, "more than one element"),
        ({"group": "x"}, ValueError, "a group is named"),
    ],
)
def test_bad_input_is_one_sentence(options, error, sentence):
    model = create_model("c4_resnet18s_w4")
    for measure in (equivariance_report, assert_equivariant):
        with pytest.raises(error, match=sentence):
            measure(model, **options)


def test_a_network_without_a_group_asks_for_one():
    with pytest.raises(ValueError, match="group='c4'"):
        equivariance_report(nn.Conv2d(3, 4, 3))


def test_there_must_be_an_exact_element_to_assert():
    model = SteerableConv2d("c3", 1, 2, 5, lifting=True)
    with pytest.raises(ValueError, match="C3 has no quarter turn or flip"):
        assert_equivariant(model, size=16)


def test_elements_is_one_of_two_words():
    # The run-time shape checks, where they are on, refuse the word before the function does.
    with pytest.raises(Exception, match="elements"):
        assert_equivariant(create_model("c4_resnet18s_w4"), size=16, elements="some")


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("size", [16.0, "16", (16, 16.0), (16, 16, 16)])
def test_a_size_that_is_no_integer_is_answered_in_one_sentence(size):
    with pytest.raises(TypeError, match=r"size must be an integer or a pair \(height, width\) of integers; got"):
        equivariance_report(create_model("c4_resnet18s_w4"), size=size)


def test_half_precision_is_reported_too():
    report = equivariance_report(create_model("c4_resnet18s_w4"), size=12, dtype=torch.bfloat16, angles=())
    assert report.worst.error < 0.1
    assert report.collapse.spread > 0.01
