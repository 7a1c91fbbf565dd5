"""What can be counted of the committed networks is what was committed of it; see `benchmarks.guard`."""

from __future__ import annotations

import json

import pytest

from benchmarks.guard import FILE, IMAGES, PROBED, figures
from eqmodels.hub import list_pretrained

COMMITTED = json.loads(FILE.read_text())
ANEW = "if this is meant, run python -m benchmarks.guard and commit what it writes"
ROUNDING = 1e-11
"""The largest error of a move that a network promises, in float64."""


def test_every_network_of_the_zoo_is_guarded():
    assert list(COMMITTED) == list_pretrained()


@pytest.mark.parametrize("name", COMMITTED)
def test_figures_are_those_that_were_committed(name):
    found, committed = json.loads(json.dumps(figures(name))), COMMITTED[name]
    assert found["cost"].pop("size") == committed["cost"]["size"]
    for what, value in found["cost"].items():
        assert value == pytest.approx(committed["cost"][what], rel=1e-12), (what, ANEW)
    assert found["own"] == committed["own"]
    assert found["errors"].keys() == committed["errors"].keys()
    for move, error in found["errors"].items():
        if move in committed["own"]:
            assert error < ROUNDING
        else:
            assert error == pytest.approx(committed["errors"][move], rel=1e-6), ANEW
    assert ("accuracy" in found) == (name in PROBED)
    for what, accuracy in found.get("accuracy", {}).items():
        # Versions round otherwise, which two images on the border of two classes may show.
        assert accuracy == pytest.approx(committed["accuracy"][what], abs=2.5 / IMAGES), (what, ANEW)
