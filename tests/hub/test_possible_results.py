"""Results that no measurement can have are found out when a network is verified, and before it is published."""

from __future__ import annotations

import json
import math
import re

import pytest

from eqmodels import EqmodelsError
from eqmodels.evaluation import EncoderEvaluation
from eqmodels.evaluation.possible_results import check_possible
from eqmodels.hub import publish, verify
from eqmodels.remote.locating import FOLDERS
from tests.hub.networks import REPOSITORY, network, rewrite

HTML = "<script>alert(1)</script>"


def within(*places, value):
    def change(content):
        part = content["evaluation"]
        for place in places[:-1]:
            part = part[place]
        part[places[-1]] = value

    return change


IMPOSSIBLE = {
    "accuracy": (within("kinds", 0, "accuracy", value=5.0), "accuracy must be a share from 0 to 1, and is '5.0'"),
    "negative": (within("kinds", 0, "turned", value=-0.1), "turned must be a share from 0 to 1, and is '-0.1'"),
    "html": (within("kinds", 0, "accuracy", value=HTML), f"accuracy must be a share from 0 to 1, and is {HTML!r}"),
    "true": (within("kinds", 0, "accuracy", value=True), "accuracy must be a share from 0 to 1, and is 'True'"),
    "unknown": (within("kinds", 0, "accuracy", value=None), "accuracy must be a share from 0 to 1, and is 'nan'"),
    "parameters": (within("parameters", value=-5), "parameters must be a count of at least 1, and is '-5'"),
    "half": (within("parameters", value=1.5), "parameters must be a count of at least 1, and is '1.5'"),
    "images": (within("test", value=["photos", 0]), "test must be a name and a count of at least 1"),
    "interval": (
        within("kinds", 0, "interval", value=[0.9, 0.1]),
        "interval must be two shares from 0 to 1, the lower",
    ),
    "knn": (within("kinds", 0, "knn", value=1.1), "knn must be a share from 0 to 1, or unknown, and is '1.1'"),
    "rank": (within("kinds", 0, "effective_rank", value=1e999), "effective_rank must be a finite number of at least 0"),
    "element": (within("kinds", 0, "elements", "90°", value=2), "elements of 90° must be a share from 0 to 1"),
    "head": (within("tasks", 0, "loss", value=-1), "rotation, loss must be a finite number of at least 0"),
    "error": (within("equivariance_error", "90°", value="0"), "equivariance_error of 90° must be a finite number"),
    "group": (within("group", value=4), "group must be a word, and is '4'"),
}


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_what_cannot_be_is_no_result(kind, folder):
    change, words = IMPOSSIBLE[kind]
    rewrite(folder / "results.json", change)
    report = verify(folder)
    assert not report.passed
    assert report.checks[-1].name == "results"
    assert re.search(f"results.json holds no results .*{re.escape(words)}", report.first_failure)


def test_it_is_not_published(folder):
    rewrite(folder / "results.json", IMPOSSIBLE["parameters"][0])
    with pytest.raises(EqmodelsError, match="parameters must be a count of at least 1"):
        publish(folder, REPOSITORY, dry_run=True)


def test_what_is_not_known_may_be_missing(folder):
    for name in ("knn", "angle_mean", "angle_worst"):
        rewrite(folder / "results.json", within("kinds", 0, name, value=None))
    assert verify(folder).passed


def test_results_that_were_measured_are_possible():
    check_possible(EncoderEvaluation.from_dict(json.loads(network()["results.json"])["evaluation"]))
    for file in FOLDERS[0].glob("*/results.json"):
        content = json.loads(file.read_text("utf-8"))
        if content.get("takes") == "points":
            continue  # what is possible of clouds is checked where they are read
        evaluation = EncoderEvaluation.from_dict(content.get("evaluation", content))
        check_possible(evaluation)
        assert math.isfinite(evaluation.kinds[0].accuracy)
