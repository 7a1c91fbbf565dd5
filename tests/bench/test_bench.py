"""The benchmark: what is measured is what it says, once a cell, and every figure finds its way into the files."""

from __future__ import annotations

import csv
import io
import json

import pytest
import torch
from PIL import Image
from torch import nn

import eqmodels
from eqmodels.bench import SUITES, Suite, chosen_models, planned
from eqmodels.bench.contenders import Contender
from eqmodels.bench.counting import count_cost
from eqmodels.bench.quality import measure_quality
from eqmodels.bench.symmetry import measure_symmetry
from eqmodels.cli import main
from eqmodels.data import load_data
from eqmodels.hub import list_models as pretrained_models

EMBEDDED = {1: "fashion_mnist_mini", 3: "openclipart_mini"}
TINY = Suite(("c4_resnet18s_w4", "resnet18s_w4"), (0, 1), 60, 40, (1, 2), (1, 2), 2, EMBEDDED)
TIMM = ["model", "infer_samples_per_sec", "infer_step_time", "infer_batch_size", "infer_img_size", "infer_gmacs"]
TIMM += ["infer_macts", "train_samples_per_sec", "train_step_time", "train_batch_size", "train_img_size"]
TIMM += ["param_count"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny suite, measured."""
    place = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SUITES, "quick", TINY)
        assert main(["bench", "--out", str(place), "--quiet"]) == 0
    return place


def lines(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def rows(file):
    return list(csv.DictReader(io.StringIO(file.read_text())))


def test_every_cell_is_a_line_with_settings_values_and_origin(folder):
    found = lines(folder)
    kinds = [line["settings"]["kind"] for line in found]
    assert {kind: kinds.count(kind) for kind in kinds} == {"quality": 4, "symmetry": 4, "cost": 2, "throughput": 2}
    for line in found:
        assert line["origin"]["seed"] == line["settings"].get("seed", 0)
        assert (folder / line["name"] / "result.json").read_text() == json.dumps(line) + "\n"


def test_what_is_done_is_not_done_again_and_what_is_lost_is(folder, monkeypatch, capsys):
    monkeypatch.setitem(SUITES, "quick", TINY)
    before = lines(folder)
    (folder / before[5]["name"] / "result.json").unlink()
    assert main(["bench", "--out", str(folder), "--json"]) == 0
    out = capsys.readouterr()
    assert "12 cells, of which 1 are to be measured" in out.err
    after = json.loads(out.out)
    assert [new["origin"]["date"] == old["origin"]["date"] for new, old in zip(after, before, strict=True)].count(
        True
    ) >= len(before) - 1
    # All that is not timed is the same again.
    assert [line["values"] for line in after] == [line["values"] for line in before]


def test_another_plan_shares_the_folder_and_what_both_have(folder, monkeypatch, capsys):
    monkeypatch.setitem(SUITES, "quick", TINY)
    assert main(["bench", "--models", "c4_resnet18s_w4", "--out", str(folder), "--json"]) == 0
    out = capsys.readouterr()
    assert "7 cells, of which 2 are to be measured" in out.err  # the throughput is of other networks
    assert len(json.loads(out.out)) == 7
    assert main(["bench", "--out", str(folder), "--quiet"]) == 0
    assert "c4_resnet18s_w4" in capsys.readouterr().out


def test_tables_and_columns_of_timm(folder, monkeypatch, capsys):
    monkeypatch.setitem(SUITES, "quick", TINY)
    assert main(["bench", "--out", str(folder), "--quiet"]) == 0
    out = capsys.readouterr().out
    assert [line.split(":")[0] for line in out.splitlines() if line.startswith(("Quality:", "Symmetry:", "Cost:"))] == [
        "Quality",
        "Symmetry",
        "Cost",
    ]
    cost = rows(folder / "cost.csv")
    assert list(cost[0])[: len(TIMM)] == TIMM
    assert [(row["model"], row["infer_batch_size"]) for row in cost] == [
        (name, batch) for batch in "12" for name in TINY.models
    ]
    for row in cost:
        rate, step = float(row["infer_samples_per_sec"]), float(row["infer_step_time"])
        assert rate * step == pytest.approx(1000 * int(row["infer_batch_size"]), rel=1e-4)
        assert (float(row["ratio"]) == 1) == (row["model"] == row["reference"] == "resnet18s_w4")
    quality = rows(folder / "quality.csv")
    assert [(row["model"], row["seed"]) for row in quality] == [(name, seed) for name in TINY.models for seed in "01"]
    for row in quality:
        if row["model"].startswith("c4"):
            assert row["turned"] == row["upright"]
            assert float(row["changed_turned"]) == 0
    symmetry = rows(folder / "symmetry.csv")
    assert len(symmetry) == 2 * 3 * 7  # of D4 without the identity
    for row in symmetry:
        if row["own"] == "True":
            assert float(row["error"]) < {"float64": 1e-12, "float32": 1e-5, "bfloat16": 0.05}[row["precision"]]
        else:
            assert float(row["error"]) > 1e-2
    assert (folder / "tables.md").read_text().count("## ") == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--models", "c4_resnet19"], "which is none. The nearest names are c4_resnet18"),
        (["--models", "c4_resnet18s_w7"], "Nearest valid widths"),
        (["--data", "mnist_fashion"], "fashion_mnist"),
        (["--suite", "huge"], "invalid choice: 'huge'"),
        (["--models", "random:timm:nonsense"], "nonsense"),
        (["--models", "c4_resnet18_w32.distil_lite0", "--data", "fashion_mnist", "--root", "nowhere"], "nowhere"),
        (["--device", "tpu"], "device must be one"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(SUITES, "quick", TINY)
    assert main(["bench", "--out", str(tmp_path / "out"), *arguments]) in (1, 2)
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1


def test_an_output_that_is_a_file_is_one_sentence(tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert main(["bench", "--out", str(tmp_path / "out")]) == 1
    err = capsys.readouterr().err
    assert "(--out)" in err
    assert err.count("\n") == 1


def test_names_are_of_the_zoo_then_of_architectures_then_whatever_has_a_prefix():
    names = [one.name for one in chosen_models(["c4_*_w16.*", "c[14]_resnet18s_w8", "timm:resnet18", "random:timm:x"])]
    assert names == [
        "c4_resnet18s_w16.rot_fmnist_simclr",
        "c1_resnet18s_w8",
        "c4_resnet18s_w8",
        "timm:resnet18",
        "random:timm:x",
    ]
    assert [one.name for one in chosen_models(["*.*"])] == pretrained_models(pretrained=True, takes="images")
    assert [Contender(name).is_random for name in names] == [False, True, True, False, True]


def test_networks_of_others_and_folders_are_measured_too(tmp_path):
    """As `evaluate` takes them: timm's, and a folder whose weights are a part of the cell's name."""
    network = eqmodels.create_model("d4_resnet18s_w8", in_chans=3, num_classes=4)
    network.save_pretrained(tmp_path / "mine")
    names = [str(tmp_path / "mine"), "random:timm:resnet18", "random:torchvision:resnet18"]
    plan = planned(TINY, models=names)
    assert list(plan.encoders) == names
    assert {cell.values["data"] for cell in plan.cells if cell.kind == "quality"} == {"openclipart_mini"}
    before = [cell.name for cell in plan.cells if cell.values.get("model") == names[0]]
    eqmodels.create_model("d4_resnet18s_w8", in_chans=3, num_classes=4).save_pretrained(tmp_path / "mine")
    again = planned(TINY, models=names[:1])
    assert not set(before) & {cell.name for cell in again.cells}


def test_a_folder_of_images_is_data(tmp_path):
    for number in range(12):
        place = tmp_path / "images" / f"class{number % 2}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (20 * number, 0, 100)).save(place)
    plan = planned(TINY, models=["c4_resnet18s_w4"], data=str(tmp_path / "images"))
    train, test = plan.images("c4_resnet18s_w4", 0)
    assert (train.channels, len(train) + len(test)) == (3, 12)


class Moving(nn.Module):
    """Says where the image is bright: features that move with it."""

    in_chans = 1

    def forward(self, images):
        return nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)


class Still(nn.Module):
    """Says how bright it is, in powers."""

    in_chans = 1

    def forward(self, images):
        return torch.stack([images.pow(power).mean((1, 2, 3)) for power in range(1, 9)], 1)


def test_quality_tells_features_that_move_from_those_that_do_not():
    train, test = (load_data("fashion_mnist_mini", split).balanced_subset(200) for split in ("train", "test"))
    moving, still = (measure_quality(one, train, test, labels=(1, 500)) for one in (Moving(), Still()))
    assert moving.upright > 0.6
    assert moving.turned < 0.4
    assert moving.changed_turned > 0.3
    assert still.upright == still.turned == still.mirrored > 0.2
    assert still.changed_turned == still.changed_mirrored == 0
    assert still.knn == still.knn_turned
    # As many labels as there are: the probe of all.
    assert abs(moving.labels["500"] - moving.upright) < 0.1
    assert moving.labels["1"] < moving.upright


def test_symmetry_is_asked_about_all_of_d4_or_about_the_networks_own_group():
    c4 = measure_symmetry(eqmodels.create_model("c4_resnet18s_w4").eval(), (12, 12))
    assert (c4.group, c4.tested, c4.own) == ("c4", "d4", ("90°", "180°", "270°"))
    assert c4.worst("float64", own=True) <= c4.worst_layer < 1e-10
    assert c4.worst("float64", own=False) > 1e-2
    c8 = measure_symmetry(eqmodels.create_model("c8_resnet18s_w8").eval(), (12, 12))
    assert (c8.tested, c8.own) == ("c8", ("90°", "180°", "270°"))
    plain = measure_symmetry(Moving(), (12, 12))
    assert (plain.own, plain.worst("float64", own=True), plain.worst_layer) == ((), None, None)


def test_costs_are_those_that_can_be_counted_by_hand():
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.linear = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 2)

        def forward(self, images):
            return self.linear(self.conv(images).mean((2, 3)))

    found = count_cost(Small().eval(), 1, (8, 8))
    assert found.parameters == 4 * 9 + 4 + 4 * 2 + 2
    assert found.gmacs == (64 * 36 + 8) / 1e9
    assert found.gmacs_a_call == 0
    assert found.macts == (64 * 4 + 2) / 1e6
    assert found.megabytes == 4 * found.parameters / 1e6
    # The images, the maps of the convolution and their means are there together.
    maps = 4 * 64 * (64 + 4 * 64 + 4)
    assert found.peak_megabytes == pytest.approx((maps + 4 * found.parameters) / 1e6)


def test_the_expansion_of_filters_is_of_a_call_and_not_of_an_image():
    expanding = count_cost(eqmodels.create_model("c8_resnet18s_w8", in_chans=1).eval(), 1, (12, 12))
    assert expanding.gmacs_a_call > 0


def test_every_suite_names_networks_that_there_are():
    for suite in SUITES.values():
        assert chosen_models(suite.models)
