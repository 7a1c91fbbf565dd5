"""What the texts of the standard suite say of rows that came later: of others, of forms, of fairness."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.standard import conclusions, tables
from benchmarks.standard.figures import measured
from eqmodels.bench import SUITES
from eqmodels.bench.supervised import EQUAL_TIME, OF_TURNED, SCRATCH
from eqmodels.measures import estimate

PLAIN = tables.PAIRS["clothes"][0]


def layer(model, form, precision, error):
    return {"model": model, "form": form, "precision": precision, "error": error}


def test_layers_are_judged_by_form_and_those_of_escnn_apart(monkeypatch):
    found = [
        layer("c4_a", "as it is", "float64", "2e-15"),
        layer("c4_a", "as it is", "float64", "4e-15"),
        layer("escnn:c4_a", "as it is", "float64", "1.3e-06"),
    ]
    monkeypatch.setattr(conclusions, "rows", lambda _: found)
    text = conclusions.of_layers()
    assert text.startswith("To conclude: no layer errs by more than rounding: at most 4e-15 in float64 (1 and")
    assert "escnn's own modules err by up to 1e-06 in float64 too" in text
    found[2:] = [layer("c4_a", "exported", "float32", "3e-06"), layer("c4_a", "int8", "8 bits", "0.0e+00")]
    assert conclusions.of_layers().endswith("; exported 3e-06, int8 0e+00 at most.")


def test_fairness_is_of_all_images_and_says_the_steps_of_equal_time(monkeypatch):
    def row(model, training, upright, steps=200, images=6000):
        values = {"upright": upright, "turned": upright / 2, "steps": steps}
        return {"model": model, "training": training, "train_images": str(images), **values}

    found = [row("resnet18s_w16", SCRATCH, 0.8), row("c4_resnet18s_w16", SCRATCH, 0.9, images=60)]

    def over_seeds(_, key, read):
        return {tuple(one[name] for name in key): estimate([read(one)]) for one in found}

    monkeypatch.setattr(conclusions, "over_seeds", over_seeds)
    assert conclusions.of_fairness() == ""  # the table says as much
    found += [row("resnet18s_w16", OF_TURNED, 0.7), row("c4_resnet18s_w16", EQUAL_TIME, 0.6, 181)]
    found += [row("d2_resnet18s_w16", SCRATCH, 0.5)]
    assert conclusions.of_fairness() == (
        "Fairness, on all 6,000 images, from scratch: the plain network is right on 80.0% upright and 40.0% turned; "
        "where it learns of turned images, on 70.0% upright and 35.0% turned; C4 in the time of the plain one on 60.0% "
        "upright and 30.0% turned after 181 steps; the wrong group, D2, on 50.0% upright and 25.0% turned."
    )
    monkeypatch.setattr(tables, "rows", lambda _: found)
    assert tables._other_ways() == (
        " (one of images turned by random quarters in every step (`from scratch, turned`) and some for as long as the "
        "plain network learns (`from scratch, equal time`, 181 steps))"
    )
    found.append(row("d4_resnet18s_w16", EQUAL_TIME, 0.6, 150))
    assert "150 .. 181 steps" in tables._other_ways()
    del found[2:]
    assert tables._other_ways() == ""


@pytest.fixture
def more():
    """What is committed, and the plain network averaged over its orbit."""
    found = {name: one for name, one in measured().items() if name not in SUITES["standard"].beside}
    name = f"symmetrised:c4:{PLAIN}"
    figures = {figure: estimate([0.123, 0.123]) for figure in found[PLAIN].quality}
    return found, found | {name: replace(found[PLAIN], name=name, quality=figures, times={})}


def test_an_averaged_network_is_no_pretrained_one_and_is_named_where_ours_lose(more):
    before, after = more
    assert "averaged over the four turns" not in tables.losses(before)
    c4 = tables.percent(before[tables.PAIRS["clothes"][1]].quality["turned"].mean)
    assert f"it is right on 12.3% of clothes (C4 {c4}%)." in tables.losses(after)
    assert tables.short_table(after) == tables.short_table(before)
    assert tables._beside(before) == ""
    assert tables._beside(after) == (
        "Beside the networks of the package: `symmetrised:` averaged over the orbit of a group."
    )
