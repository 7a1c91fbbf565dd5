"""Networks that stand beside those of a suite: of others, of another group, and adapted."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
import torch

from eqmodels.bench import SUITES, Suite, chosen_models, contenders, planned, read_bench
from eqmodels.bench.contenders import Contender
from eqmodels.cli import main

PLAIN = "resnet18s_w16.rot_fmnist_simclr"
POSE = "c4_resnet18s_w16.rot_fmnist_simclr"
ADAPTED = "symmetrised:c4:resnet18s_w4"
TINY = Suite(("resnet18s_w4",), (0,), 60, 40, (1,), (1,), 1, {1: "fashion_mnist_mini", 3: "openclipart_mini"})
WITH = replace(TINY, beside=(ADAPTED, "random:timm:mobilenetv3_small_050"), angles=90, growth=(20, 40))


def test_the_mean_over_the_orbit_is_that_of_the_network_and_sees_its_images():
    network, symmetrised = (Contender(name).build() for name in (PLAIN, f"symmetrised:c4:{PLAIN}"))
    images = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = torch.stack([network(images.rot90(quarter, (-2, -1))) for quarter in range(4)]).mean(0)
        torch.testing.assert_close(symmetrised(images), expected, rtol=1e-4, atol=1e-4)
    assert symmetrised.preprocessing == network.preprocessing
    assert (symmetrised.group.name, str(symmetrised.out_field)) == ("c4", f"{expected.shape[1]} x scalar")


def test_one_pass_of_an_upright_image_does_not_change_when_it_turns():
    encoder = Contender(f"canonicalised:{POSE}:{PLAIN}").build()
    images = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(encoder(images.rot90(1, (-2, -1))), encoder(images), rtol=1e-4, atol=1e-4)
    assert encoder.preprocessing == Contender(PLAIN).build().preprocessing


def test_names_of_adapted_networks_are_of_whatever_can_be_compared(tmp_path):
    names = ["symmetrised:c4:*_w16.rot_fmnist_simclr", "symmetrised:d4:random:timm:resnet18", "d2_resnet18s_w16"]
    found = chosen_models(names)
    assert [one.name for one in found[:3]] == [f"symmetrised:c4:{name}" for name in (POSE, f"d4{POSE[2:]}", PLAIN)]
    assert [one.is_random for one in found] == [False, False, False, True, True]
    assert found[3].origin.name == "random:timm:resnet18"
    assert Contender(f"canonicalised:c4_resnet18s_w4:{PLAIN}").is_random
    Contender("c4_resnet18s_w4").build(channels=1).save_pretrained(tmp_path / "mine")
    mine = Contender(str(tmp_path / "mine"))
    assert Contender(f"symmetrised:c4:{mine.name}").weights() == mine.weights() != ""
    for name, sentence in {
        "symmetrised:c4": "is called symmetrised:GROUP:NAME",
        "symmetrised:c4:nonsense": "models must be names or patterns",
    }.items():
        with pytest.raises(ValueError, match=sentence):
            chosen_models([name])
    with pytest.raises(ValueError, match="got C5"):
        Contender("symmetrised:c5:resnet18s_w4").build()


def test_what_stands_beside_has_cells_of_its_own_and_changes_no_other():
    alone, together = (planned(suite) for suite in (replace(WITH, beside=()), WITH))
    assert {cell.name for cell in alone.cells} < {cell.name for cell in together.cells}
    more = [cell for cell in together.cells if cell not in alone.cells]
    assert {cell.kind for cell in more} == {"quality", "symmetry", "cost", "throughput"}
    timed = [cell.values["models"] for cell in more if cell.kind == "throughput"]
    assert timed == [["resnet18s_w4", ADAPTED], ["random:timm:mobilenetv3_small_050"]]  # no other one sees colour
    # Asked for by name it is one of all.
    named = planned(WITH, models=["resnet18s_w4", ADAPTED], kinds=["angles", "throughput"])
    assert [cell.values.get("models") for cell in named.cells] == [None, None, ["resnet18s_w4", ADAPTED]]


def test_what_cannot_be_built_is_left_out_and_what_was_measured_elsewhere_stays(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(SUITES, "quick", WITH)
    assert main(["bench", "--out", str(tmp_path), "--kinds", "symmetry", "cost", "--quiet"]) == 0
    before = (tmp_path / "symmetry.csv").read_text()
    capsys.readouterr()
    monkeypatch.setattr(contenders, "find_spec", lambda name: None if name == "timm" else name)
    assert planned(WITH).left_out == {"random:timm:mobilenetv3_small_050": "timm"}
    assert main(["bench", "--out", str(tmp_path), "--kinds", "symmetry", "cost"]) == 0
    err = capsys.readouterr().err
    assert "random:timm:mobilenetv3_small_050 is left out, as timm is not installed: pip install timm\n" in err
    assert "4 cells, of which 0 are to be measured" in err
    assert (tmp_path / "symmetry.csv").read_text() == before
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    results = read_bench(planned(WITH, kinds=["cost"]), tmp_path)
    assert set(results.costs()) == {"resnet18s_w4", *WITH.beside}
    # Counted and not timed: a row all the same.
    with (tmp_path / "cost.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == ["resnet18s_w4", *WITH.beside]
    assert {row["infer_samples_per_sec"] for row in rows} == {""}
    assert all(float(row["param_count"]) > 0 for row in rows)


def test_every_suite_names_networks_that_there_are():
    for suite in SUITES.values():
        assert [one.name for one in chosen_models(suite.beside)] == list(suite.beside)
