"""What takes longer: each measure on networks of which the answer is known, and all of them as cells of one suite."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import eqmodels
from eqmodels.bench import SUITES, Suite, planned
from eqmodels.bench.angles import measure_angles
from eqmodels.bench.engines import HOWS, can_run, running
from eqmodels.bench.exponents import fit_exponent
from eqmodels.bench.forms import FORMS, LAYERED, measure_forms
from eqmodels.bench.growth import measure_growth
from eqmodels.bench.rotated import AtAllAngles, rotated_parts
from eqmodels.bench.scaling import measure_scaling
from eqmodels.bench.supervised import measure_supervised
from eqmodels.cli import main
from eqmodels.data import load_data
from eqmodels.groups import rotate

TINY = Suite(
    ("c4_resnet18s_w4", "resnet18s_w4"),
    (0,),
    60,
    40,
    (1,),
    (1, 2),
    1,
    {1: "fashion_mnist_mini", 3: "openclipart_mini"},
    hows=("exported", "training"),
    forms=("as it is", "after training", "exported"),
    angles=90,
    growth=(20, 40, 80),
    fractions=(0.5, 1.0),
    trained=("c4_*",),
    steps=2,
    rotated=(30, 90, 2),
    widths=(8, 16),
    sizes=(12, 24),
    trained_widths=(4, 8),
    trained_sizes=(12,),
)
KINDS = {
    "quality": 2,
    "symmetry": 2,
    "forms": 2,
    "angles": 2,
    "growth": 2,
    "supervised": 2,
    "rotated": 8,
    "capacity": 6,
    "cost": 2,
    "scaling": 6,
}
"""And throughput: as they are and exported by two batches, and training of two images."""


class Brightness(nn.Module):
    """Says how bright an image is, in powers: nothing that turning changes."""

    in_chans = 1

    def forward(self, images):
        return torch.stack([images.pow(power).mean((1, 2, 3)) for power in range(1, 9)], 1)


class Places(nn.Module):
    """Says where it is bright, by what it learns."""

    in_chans = 1

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(196, 32)

    def forward(self, images):
        return self.mix(nn.functional.adaptive_avg_pool2d(images, 14).flatten(1)).relu()


@pytest.fixture(scope="module")
def images():
    return tuple(load_data("fashion_mnist_mini", split).balanced_subset(300) for split in ("train", "test"))


def test_a_power_law_is_found_and_its_interval_holds_it():
    x = [8.0, 16.0, 32.0, 64.0]
    assert fit_exponent(x, [5 * value**1.7 for value in x]).value == pytest.approx(1.7)
    scattered = [value**-0.5 * scatter for value, scatter in zip(x, (1.1, 0.95, 1.05, 0.9), strict=True)]
    found = fit_exponent(x, scattered)
    assert found.low < -0.5 < found.high
    two = fit_exponent(x[:2], [1.0, 4.0])
    assert two.value == pytest.approx(2)
    assert math.isnan(two.low)
    assert type(two).from_dict(json.loads(json.dumps(two.to_dict()))).points == 2
    with pytest.raises(ValueError, match=r"^x and y must be positive .* Leave out what is 0\.$"):
        fit_exponent(x, [0.0, 1.0, 2.0, 3.0])


def test_the_curve_over_the_angles_tells_what_turns_from_what_does_not(images):
    still, moving = (measure_angles(network.eval(), *images, step=90) for network in (Brightness(), Places()))
    assert still.degrees == (0, 90, 180, 270)
    # All four are the same pixels in another order.
    assert max(still.changed) < 0.01
    assert still.worst == pytest.approx(still.mean, abs=0.01)
    assert moving.changed[0] == 0
    assert moving.worst < moving.accuracy[0] - 0.3


def test_more_images_make_the_error_smaller(images):
    found = measure_growth(Places().eval(), *images, (20, 60, 300, 10_000))
    assert found.counts == (20, 60, 300)
    assert found.errors[-1] < found.errors[0]
    assert found.exponent.value < 0
    assert found.exponent == fit_exponent(found.counts, found.errors)


@pytest.mark.parametrize("form", FORMS)
def test_what_a_network_turns_into_turns_with_the_image(form, images):
    """To rounding; of 8 bits to theirs. And mirrorings, which C4 does not know, change its features in every form."""
    network = eqmodels.create_model("c4_resnet18s_w4", in_chans=1, num_classes=0, global_pool="regular").eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = measure_forms(network, images[1], [form])
    assert found.own == ("90°", "180°", "270°")
    assert set(found.errors[form]) > set(found.own)
    assert found.worst(form) < (0.1 if form == "int8" else 1e-5)
    others = [error for element, error in found.errors[form].items() if element not in found.own]
    assert min(others) > 5 * found.worst(form)
    assert set(found.layers) == {form} & set(LAYERED)
    for layers in found.layers.values():
        # Of its four stages, their blocks, convolutions and activations; batch-norms are folded once it is exported.
        assert {"stem.conv", "layer1.0.conv2", "layer2.0.downsample", "layer3.1.relu#2", "layer4", "output"} <= set(
            layers
        )
        assert ("layer1.0.bn1" in layers) == (form == "after training")
        assert max(error for error, _ in layers.values()) < (0.1 if form == "int8" else 1e-5)
        assert {move for _, move in layers.values()} <= set(found.own)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not network.training


def test_training_learns_and_leaves_the_network_as_it_was(images):
    torch.manual_seed(0)
    network = Places()
    before = network.mix.weight.clone()
    found = measure_supervised(network, *images, how="from scratch", steps=40)
    assert torch.equal(network.mix.weight, before)
    assert found.upright > 0.55 > found.turned
    assert found.changed_turned > 0.3
    assert measure_supervised(network, *images, how="from scratch", steps=40) == found
    assert measure_supervised(network, *images, how="fine-tuned", steps=1).loss > found.loss
    small = measure_supervised(network, *images, how="from scratch", steps=40, bf16=True)
    assert small != found
    assert small.upright == pytest.approx(found.upright, abs=0.1)
    with pytest.raises(TypeError, match="a module is trained here; got function"):
        measure_supervised(lambda x: x.flatten(1), *images, how="from scratch", steps=1)


def test_images_at_all_angles_keep_theirs_or_get_others_and_no_test_image_is_learned_from(images):
    upright = images[0].balanced_subset(50)
    fixed, anew = AtAllAngles(upright), AtAllAngles(upright, anew=True)
    assert torch.equal(fixed.pixels(slice(3, 9)), fixed.pixels(torch.arange(3, 9)))
    assert not torch.equal(anew.pixels(slice(3, 9)), anew.pixels(slice(3, 9)))
    assert (fixed.degrees.min() < 30, fixed.degrees.max() > 330) == (True, True)
    torch.testing.assert_close(
        fixed.pixels(slice(4, 5))[0], rotate(upright.pixels(slice(4, 5))[0], float(fixed.degrees[4]))
    )
    train, test = rotated_parts(upright, images[1], (30, 310))
    assert (len(train), len(test)) == (30, 310)
    assert train.labels.bincount().tolist() == [3] * 10
    assert test.labels.shape == (310,)
    mixed = test.pixels(torch.tensor([309, 0, 12]))
    assert torch.equal(mixed[1], test.pixels(slice(0, 1))[0])
    assert torch.equal(mixed[0], test.pixels(slice(309, 310))[0])
    inner = {tuple(image.flatten().tolist()) for image in test.source.pixels(slice(0, 10))}
    assert not inner & {tuple(image.flatten().tolist()) for image in train.source.pixels(slice(None))}
    assert len(rotated_parts(upright, images[1], (30, 100))[1]) == 100


def test_an_equivariant_network_that_is_trained_upright_says_the_same_of_turned_images(images):
    network = eqmodels.create_model("c4_resnet18s_w4", in_chans=1)
    found = measure_supervised(network, *images, how="from scratch", steps=2)
    assert found.changed_turned < 0.02
    assert found.upright == pytest.approx(found.turned, abs=0.02)


def test_wider_networks_and_larger_images_take_longer():
    for axis, values in (("width", (8, 64)), ("size", (16, 96))):
        found = measure_scaling("resnet18s", axis, values, rounds=3)
        assert found.seconds[1] > found.seconds[0]
        assert found.exponent.value > 0
    with pytest.raises(ValueError, match="axis must be one of width, size; got 'depth'"):
        measure_scaling("resnet18s", "depth", (1, 2), rounds=1)


@pytest.mark.slow
def test_as_many_networks_are_compiled_as_there_are_and_compute_the_same():
    images = torch.randn(2, 1, 12, 12)
    networks = [eqmodels.create_model("resnet18s_w4", in_chans=1).eval() for _ in range(10)]
    compiled = [running("compiled", network, images) for network in networks]
    for _ in range(2):
        for one, network in zip(compiled, networks, strict=True):
            torch.testing.assert_close(one(images), network(images), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("how", ["eager", "exported", "onnxruntime", "bfloat16", "int8", "training"])
def test_every_way_of_running_computes_and_leaves_the_network_as_it_was(how):
    assert can_run(how)
    network = eqmodels.create_model("c4_resnet18s_w4", in_chans=1).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = torch.randn(2, 1, 12, 12)
    found = running(how, network, images)(images)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not network.training
    if how != "training":
        expected = network(images).detach()
        rounding = {"bfloat16": 0.03, "int8": 0.1}.get(how, 1e-5)
        assert float((found.float() - expected).norm() / expected.norm()) < rounding
        assert torch.equal(found, expected) or how != "eager"
    assert set(HOWS) == {"eager", "exported", "onnxruntime", "bfloat16", "int8", "compiled", "training"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The tiny suite, measured."""
    place = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SUITES, "quick", TINY)
        assert main(["bench", "--out", str(place), "--quiet"]) == 0
    return place


def rows(file):
    return list(csv.DictReader(io.StringIO(file.read_text())))


def test_every_kind_is_a_cell_and_finds_its_way_into_the_files(folder):
    kinds = [json.loads(line)["settings"]["kind"] for line in (folder / "results.jsonl").read_text().splitlines()]
    assert {kind: kinds.count(kind) for kind in kinds} == KINDS | {"throughput": 5}
    angles = rows(folder / "angles.csv")
    assert [row["degrees"] for row in angles] == ["0", "90", "180", "270"] * 2
    assert {row["changed"] for row in angles if row["model"].startswith("c4")} == {"0"}
    assert [row["train_images"] for row in rows(folder / "supervised.csv")] == ["30", "60"]
    rotated = rows(folder / "rotated.csv")
    assert [row["model"].split("_")[0] for row in rotated] == [*["resnet18s"] * 3, "c4", "d4", "c8", "d8", "c16"]
    assert [row["augmented"] for row in rotated] == ["False", "True", "True", *["False"] * 5]
    capacity = [(row["family"], row["axis"], row["value"]) for row in rows(folder / "capacity.csv")]
    assert capacity == [
        (family, *grown)
        for family in ("resnet18s", "c4_resnet18s")
        for grown in (("width", "4"), ("width", "8"), ("size", "12"))
    ]
    assert [row["train_images"] for row in rows(folder / "growth.csv")] == ["20", "40"] * 2
    assert {(row["how"], row["batch_size"]) for row in rows(folder / "throughput.csv")} == {
        ("eager", "1"), ("eager", "2"), ("exported", "1"), ("exported", "2"), ("training", "2"),
    }  # fmt: skip
    cost = rows(folder / "cost.csv")
    assert len(cost) == 4  # as they are alone
    for row in cost:
        trained = [row[f"train_{name}"] for name in ("samples_per_sec", "step_time", "batch_size", "img_size")]
        if row["infer_batch_size"] == "1":
            assert trained == [""] * 4  # no statistics of a batch
        else:
            assert float(trained[0]) * float(trained[1]) == pytest.approx(2000, rel=1e-4)
            assert trained[2:] == ["2", row["infer_img_size"]]
    layers = rows(folder / "layers.csv")
    assert {row["model"] for row in layers} == {"c4_resnet18s_w4"}  # the other one promises nothing
    assert {(row["form"], row["precision"]) for row in layers} == {
        ("as it is", "float64"), ("as it is", "float32"), ("as it is", "bfloat16"), ("after training", "float32"),
        ("exported", "float32"),
    }  # fmt: skip
    exact = [float(row["error"]) for row in layers if row["precision"] == "float64"]
    assert len(exact) > 20
    assert max(exact) < 1e-12
    errors = [float(row["error"]) for row in rows(folder / "forms.csv") if row["own"] == "True"]
    assert 0 < max(errors) < 1e-5
    assert {(row["axis"], row["value"]) for row in rows(folder / "scaling.csv")} == {
        ("width", "8"), ("width", "16"), ("size", "12"), ("size", "24"),
    }  # fmt: skip
    titles = [
        "Quality",
        "Symmetry",
        "Cost",
        "Forms",
        "Angles",
        "Supervised",
        "Rotated",
        "Growth",
        "Ways to run",
        "Scaling",
        "Capacity",
    ]
    text = (folder / "tables.md").read_text()
    assert [line.removeprefix("## ").split(":")[0] for line in text.splitlines() if line.startswith("## ")] == titles


def test_a_pose_learns_where_canonical_features_are_fine_tuned():
    names = ("c4_resnet18s_w16.rot_fmnist_simclr", "resnet18s_w16.rot_fmnist_simclr", "c4_resnet18s_w4")
    plan = planned(replace(TINY, trained=names), models=names, kinds=["supervised"])
    asked = {cell.values["model"]: (cell.values["how"], cell.values.get("features")) for cell in plan.cells}
    assert [asked[name] for name in names] == [
        ("fine-tuned", "canonical-soft"), ("fine-tuned", None), ("from scratch", None),
    ]  # fmt: skip


def test_some_kinds_alone_are_chosen(folder, monkeypatch, capsys):
    monkeypatch.setitem(SUITES, "quick", TINY)
    assert main(["bench", "--out", str(folder), "--kinds", "angles", "cost"]) == 0
    found = capsys.readouterr()
    assert "4 cells, of which 0 are to be measured" in found.err
    assert "Quality: " not in found.out
    assert main(["bench", "--out", str(folder), "--kinds", "speed"]) == 2
    assert "kinds must be of quality, symmetry, " in capsys.readouterr().err
